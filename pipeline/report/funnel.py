"""The funnel: how many rows came into each stage, and what became of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.rows.shards import Rows

MOST_REASONS = 24  # of one stage


@dataclass(frozen=True)
class Chapter:
    """One stage of the story: what it made of every row, dropped ones too, and what it noted."""

    stage: str
    rows: Rows
    notes: Sequence[str] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)  # its limits, by name
    frames: int = 0  # of the rows those that are no files of the source


def rows_of_stage(chapters: Sequence[Chapter], stage: str) -> Rows:
    """What the stage of this name made of every row; none where it is not in the story."""
    return next((chapter.rows for chapter in chapters if chapter.stage == stage), Rows.of([]))


@dataclass(frozen=True)
class Line:
    """One stage's books: came_in + added = kept + dropped."""

    stage: str
    came_in: int
    added: int  # further faces of a photo, frames of a clip, close-ups
    kept: int
    reasons: Mapping[str, int]  # why rows were dropped, most frequent first

    @property
    def dropped(self) -> int:
        return sum(self.reasons.values())


def funnel(chapters: Sequence[Chapter]) -> list[Line]:
    """The books of every stage, in order: what one keeps comes into the next."""
    lines: list[Line] = []
    for chapter in chapters:
        counts = chapter.rows.outcome()
        kept = counts.pop("kept", 0)
        came_in = lines[-1].kept if lines else len(chapter.rows) - chapter.frames
        added = len(chapter.rows) - came_in
        assert added >= 0, f"{chapter.stage} lost {-added} rows"
        lines.append(Line(chapter.stage, came_in, added, kept, shortened(counts)))
    return lines


def shortened(counts: Mapping[str, int]) -> dict[str, int]:
    """Reasons and their rows, most frequent first; rare ones of very many become one line."""
    reasons = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if len(reasons) <= MOST_REASONS:
        return dict(reasons)
    shown, rest = reasons[: MOST_REASONS - 1], reasons[MOST_REASONS - 1 :]
    return {**dict(shown), f"{len(rest)} other reasons": sum(count for _, count in rest)}


def funnel_text(chapters: Sequence[Chapter]) -> str:
    """The funnel as a table for the terminal, one line per stage and reason."""
    lines = funnel(chapters)
    adds = any(line.added for line in lines)
    table = [("stage", "in", "added", "kept", "dropped", "")]
    for line in lines:
        numbers = (f"{line.came_in:,}", f"{line.added:,}" if line.added else "", f"{line.kept:,}")
        dropped = f"{line.dropped:,}" if line.dropped else ""
        reasons = [f"{count:,} {reason}" for reason, count in line.reasons.items()] or [""]
        table.append((line.stage, *numbers, dropped, reasons[0]))
        table += [("", "", "", "", "", reason) for reason in reasons[1:]]
    if not adds:
        table = [(*cells[:2], *cells[3:]) for cells in table]  # type: ignore[misc]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(aligned(cells, widths) for cells in table)


def aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    """The first cell to the left, numbers to the right, the reason as it is."""
    first, *numbers, reason = cells
    shown = [number.rjust(width) for number, width in zip(numbers, widths[1:], strict=False)]
    return "  ".join([first.ljust(widths[0]), *shown, reason]).rstrip()
