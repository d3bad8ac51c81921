"""What the report and the terminal tell of the stages: read from their manifests."""

from collections.abc import Sequence
from pathlib import Path

from atelier import files
from pipeline.report import page
from pipeline.report.page import Chapter, ReportConfig
from pipeline.rows import manifest
from pipeline.stage import Step, store


def chapters(steps: Sequence[Step]) -> list[Chapter]:
    """The story of each stage; they are complete."""
    facts = [(step, manifest.facts(step.path)) for step in steps]
    return [Chapter(type(step).__name__, step.rows(), known.notes) for step, known in facts]


def write_report(path: Path, steps: Sequence[Step], config: ReportConfig) -> None:
    """Write the report on these stages, Ingest the first of them."""
    folder = steps[0].photo_folder
    places = {row.photo or row.id: folder.file(row) for row in steps[0].rows()}
    limits = [manifest.facts(step.path).numbers.get("limit") for step in steps]
    limit = next((limit for limit in limits if limit is not None), None)
    photo = page.opener(lambda row: places.get(row.photo or row.id))
    picture = page.opener(lambda row: store() / row.picture)
    told = chapters(steps), config, str(folder.root), limit
    files.write(path, page.page(*told, photo, picture).encode())
