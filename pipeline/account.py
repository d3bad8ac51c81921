"""What the report and the terminal tell of the stages: read from their manifests."""

from collections.abc import Sequence

from pipeline import manifest, report
from pipeline.report import Chapter, ReportConfig
from pipeline.stage import PhotoFolder, Step, store


def chapters(steps: Sequence[Step]) -> list[Chapter]:
    """The story of each stage; they are complete."""
    facts = [(step, manifest.facts(step.path)) for step in steps]
    return [Chapter(type(step).__name__, step.rows(), known.notes) for step, known in facts]


def page(steps: Sequence[Step], config: ReportConfig, ingest: PhotoFolder) -> bytes:
    """The report on these stages; Ingest says where the photos lie."""
    places = {row.photo or row.id: ingest.file(row) for row in ingest.rows()}
    limits = [manifest.facts(step.path).numbers.get("limit") for step in steps]
    limit = next((limit for limit in limits if limit is not None), None)
    photo = report.opener(lambda row: places.get(row.photo or row.id))
    picture = report.opener(lambda row: store() / row.picture)
    told = chapters(steps), config, str(ingest.root), limit
    return report.page(*told, photo, picture).encode()
