"""What the report and the terminal tell of the stages: read from their manifests."""

from collections.abc import Sequence
from pathlib import Path

from atelier import files
from atelier.names import in_text
from atelier.pictures import bytes_digest
from pipeline.photos.thumbnails import bytes_of
from pipeline.report import page
from pipeline.report.funnel import Chapter
from pipeline.report.page import ReportConfig
from pipeline.report.sheets import Listed
from pipeline.rows import manifest
from pipeline.rows.manifest import Row
from pipeline.stage import Step, store


def chapters(steps: Sequence[Step]) -> list[Chapter]:
    """The story of each stage; they are complete."""
    facts = [(step, manifest.facts(step.path)) for step in steps]
    return [
        Chapter(type(step).__name__, step.made(), known.notes, known.numbers, frames_in(step))
        for step, known in facts
    ]


def frames_in(step: Step) -> int:
    """How many of a stage's rows are no files of the source but frames of its videos."""
    made = step.made()
    known = [shard.tally for shard in made.made]
    if all(tally is not None for tally in known):
        return sum(tally.get("frames", 0) for tally in known if tally)
    return sum(map(bool, made.columns("clip").column("clip").to_pylist()))


def write_report(path: Path, steps: Sequence[Step], config: ReportConfig) -> None:
    """Write the report on these stages, Ingest the first of them."""
    folder = steps[0].photo_folder
    files_of = Listed(steps[0].made())
    numbers: dict[str, float] = {}
    for step in steps:
        numbers |= manifest.facts(step.path).numbers
    photo = page.opener(lambda row: folder.file(found) if (found := files_of(row)) else None)
    told = chapters(steps), config, in_text(str(folder.root)), numbers
    files.write(path, sealed_page(page.page(*told, photo, own_picture).encode()))


def own_picture(row: Row) -> bytes | None:
    """The picture of a row; None where it is gone, or another than was written."""
    data, known = bytes_of(store() / row.picture), row.picture_digest
    return data if data and known in (None, bytes_digest(data)) else None


def sealed_page(data: bytes) -> bytes:
    """A page with a digest of itself behind its end."""
    return data + b"\n<!-- blake2b %s -->\n" % bytes_digest(data).hex().encode()


def is_whole_page(data: bytes) -> bool:
    """Whether a page is as it was written; those of earlier versions only end as one does."""
    page, end, rest = data.rpartition(b"</html>")
    return bool(end) and (not rest.strip() or sealed_page(page + end) == data)
