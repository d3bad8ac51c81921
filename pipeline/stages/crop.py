"""Decide which part of each photo is the portrait. Boxes in, rectangle out; no pixels.

What a person decided in the review comes first; then a crop detector's rectangle; then the face.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from atelier.boxes import Box, aligned, contains, has_area, within
from atelier.options import option
from detectors import FACE, KINDS, Spec
from pipeline.options import Settings, SettingsError
from pipeline.photos.geometry import around
from pipeline.rows import columns
from pipeline.rows.decisions import REFUSED, Decision
from pipeline.rows.manifest import Row, dropped
from pipeline.rows.shards import Shard
from pipeline.sections import DatasetConfig, PortraitConfig
from pipeline.stages.detect import Look
from pipeline.stages.finds import joined_shard
from pipeline.stages.rulebook import RuleError, check_labels, parse, unseen
from pipeline.stages.rules import Rule, judge, middle, once

if TYPE_CHECKING:
    import pyarrow as pa

LARGEST_FACTOR = 16.0  # of an enlargement
MAKE_PORTRAITS = {"face", "portrait", "photo"}  # labels
COUNTS = 1 / 3  # faces under this share of the largest one's height are bystanders


def check_factor(value: bool | float) -> None:
    """Raise ValueError for a number that would not enlarge, or without end."""
    if not isinstance(value, bool) and not 1 <= value <= LARGEST_FACTOR:
        raise ValueError(f"give true, false, or a factor between 1 and {LARGEST_FACTOR:g}")


@dataclass(frozen=True)
class CropConfig(Settings):
    """Which faces become portraits."""

    faces: Literal["largest", "each"] = option(
        "largest", "largest: one portrait per photo; each: one for every face, left to right"
    )
    max_faces: int = option(
        1, "drop photos with more faces; those under a third of the largest do not count", low=1
    )
    min_face: int = option(48, "drop faces lower than this, in pixels of the photo", low=1)
    max_face_share: float = option(
        0.7, "drop portraits whose face is more than this share of their height", low=0.05, high=1
    )
    enlarge: bool | float = option(
        False,
        "keep portraits whose longer side is under the dataset's: true, or a number, as 1.15: up to"
        " so many times they may be enlarged",
        check=check_factor,
    )
    rules: str = option(
        "[]",
        "JSON list of rules on what was found and measured, read top to bottom: docs/rules.md",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            parse(self.rules)
        except RuleError as error:
            raise SettingsError(f"[Crop] rules: {error}") from None

    @property
    def on_boxes(self) -> list[Rule]:
        """The rules that Crop judges."""
        return [rule for rule in parse(self.rules) if not rule.measured]

    @property
    def on_measures(self) -> tuple[Rule, ...]:
        """The rules that FilterQuality judges."""
        return tuple(rule for rule in parse(self.rules) if rule.measured)

    def least(self, dataset: DatasetConfig) -> tuple[float, float]:
        """A portrait smaller than this both ways has too few pixels: (width, height)."""
        width, height = dataset.width_height
        if self.enlarge is True:
            return 0.0, 0.0
        factor = self.enlarge or 1.0
        return width / factor, height / factor


@dataclass(frozen=True)
class Recipe:
    """All that decides which parts of a photo become portraits."""

    crop: CropConfig = field(default_factory=CropConfig)
    portrait: PortraitConfig = field(default_factory=PortraitConfig)
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    wanted: str = "face"  # what a photo without a portrait lacks


def checked(config: CropConfig, looks: Iterable[Look]) -> list[Spec]:
    """The detectors; raises SettingsError where a rule names what none of them finds."""
    specs = [look.spec for look in looks]
    try:
        check_labels(parse(config.rules), specs)
    except RuleError as error:
        raise SettingsError(f"[Crop] rules: {error}") from None
    return specs


def wanted(specs: Iterable[Spec]) -> str:
    """What these detectors look for: a detector of one's own crop finds no faces."""
    sought = {KINDS[spec.kind].seeks for spec in specs}
    return sought.pop() if len(sought) == 1 else FACE


def crop_notes(tallies: Iterable[Mapping[str, Any]], config: CropConfig) -> list[str]:
    """What a person should know about the rules, and about finds that make no portraits."""
    seen = {label for tally in tallies for label in tally["labels"]}
    notes = unseen(parse(config.rules), seen)
    if seen and seen.isdisjoint(MAKE_PORTRAITS):
        notes.append(
            "portraits are made of finds called face or portrait, and all are called"
            f" {', '.join(sorted(seen))}: a detector of one class calls them so with"
            " ?names=portrait"
        )
    return notes


def tally(table: "pa.Table") -> dict[str, Any]:
    """The labels of what was found in these photos."""
    import pyarrow.compute as pc

    found = columns.combined(table.column("boxes")).flatten()
    return {"labels": sorted(pc.unique(pc.struct_field(found, "label")).to_pylist())}


def cropped_table(
    table: "pa.Table", rows: Sequence[Row], recipe: Recipe, decisions: Mapping[str, Decision]
) -> "pa.Table":
    """What becomes of the rows of a table; `rows` are the same with what was found in them."""
    import pyarrow as pa

    made = [cropped([row], recipe, decisions) for row in rows]
    flat = [row for some in made for row in some]
    at = [number for number, some in enumerate(made) for _ in some]
    return columns.with_columns(
        table.take(pa.array(at, pa.int64())),
        id=[row.id for row in flat],
        boxes=columns.boxes_column([row.boxes for row in flat]),
        face=[row.face for row in flat],
        rectangle=[row.rectangle for row in flat],
        drop=[row.drop for row in flat],
    )


def cropped_shard(
    table: "pa.Table",
    found: Sequence[Shard],
    specs: Sequence[Spec],
    recipe: Recipe,
    decisions: Mapping[str, Decision],
) -> "pa.Table":
    """The same of the rows of a shard, with what several detectors found in them."""
    return cropped_table(table, joined_shard(found, specs), recipe, decisions)


def cropped(rows: Iterable[Row], recipe: Recipe, decisions: Mapping[str, Decision]) -> list[Row]:
    """What becomes of each row; `decisions` are by photo."""
    return [made for row in rows for made in crop(row, recipe, decisions.get(row.photo))]


def crop(row: Row, recipe: Recipe, decision: Decision | None = None) -> Iterator[Row]:
    """Yield the row once per portrait in it, or once, dropped. Its faces are canonical boxes."""
    if row.drop is not None:
        yield row
        return
    if decision is not None:
        yield from decided(row, decision, recipe)
        return
    rules = recipe.crop.on_boxes
    for proposal in proposed(row, recipe):
        reason = None if proposal.drop else judge(proposal, rules)
        yield dropped(proposal, reason) if reason else proposal


def decided(row: Row, decision: Decision, recipe: Recipe) -> Iterator[Row]:
    """What a person saw counts: no rule, and nothing that a detector found, is asked."""
    if decision.action == "refuse":
        yield dropped(row, f"{decision.reason or REFUSED}: refused in the review")
        return
    photo = Box(0, 0, row.width, row.height)
    for named, rectangle in numbered(row, decision.rectangles):
        if has_area(within(rectangle, photo)):
            yield given(named, rectangle, recipe)
        else:  # somebody wrote the line by hand
            edges = ", ".join(map(str, rectangle))
            yield dropped(named, f"accepted rectangle outside the photo: {edges}")


def proposed(row: Row, recipe: Recipe) -> Iterator[Row]:
    """The portraits that the detectors' finds make, or the row, dropped."""
    config = recipe.crop
    whole = [found.box for found in row.boxes if found.label == "photo"]
    if whole:
        yield sized(replace(row, rectangle=whole[0]), recipe)
        return
    ready = [found.box for found in once(f for f in row.boxes if f.label == "portrait")]
    if ready:
        chosen = ready[:1] if config.faces == "largest" else sorted(ready)
        yield from (given(named, box, recipe) for named, box in numbered(row, chosen))
        return
    faces = counted_faces([found.box for found in row.boxes if found.label == "face"])
    if not faces:
        yield dropped(row, f"no {recipe.wanted}")
    elif len(faces) > config.max_faces:
        yield dropped(row, f"several faces: {len(faces)}")
    elif config.faces == "largest":
        yield one(row, faces[0], recipe)
    else:
        for number, face in enumerate(sorted(faces), start=1):
            named = replace(row, id=f"{row.id}.f{number}")
            yield one(named, face, recipe)


def numbered(row: Row, rectangles: Sequence[Box]) -> Iterator[tuple[Row, Box]]:
    """The row once per rectangle: its children, where there are several."""
    for number, rectangle in enumerate(rectangles, start=1):
        alone = len(rectangles) == 1
        yield (row if alone else replace(row, id=f"{row.id}.f{number}")), rectangle


def given(row: Row, rectangle: Box, recipe: Recipe) -> Row:
    """The row with a rectangle that is there already, and the largest face in it."""
    photo = Box(0, 0, row.width, row.height)
    rectangle = aligned(within(rectangle, photo), recipe.dataset.width_height, photo)
    faces = [found.box for found in row.boxes if found.label == "face"]
    inside = [face for face in faces if contains(rectangle, middle(face))]
    face = max(inside, key=lambda face: (face.height, face), default=None)
    return sized(replace(row, face=face, rectangle=rectangle), recipe)


def counted_faces(faces: list[Box]) -> list[Box]:
    """The faces that count, largest first."""
    faces = sorted(faces, key=lambda face: (-face.height, face))
    return [face for face in faces if face.height >= COUNTS * faces[0].height]


def one(row: Row, face: Box, recipe: Recipe) -> Row:
    """The row with the portrait rectangle around `face`, or dropped."""
    portrait = recipe.portrait
    if face.height < recipe.crop.min_face:
        return dropped(row, f"face too small: {face.height} pixels")
    photo = Box(0, 0, row.width, row.height)
    place = portrait.face_x, portrait.face_y
    rectangle = around(face, wanted_size(face, recipe), place, photo, portrait.headroom)
    rectangle = aligned(rectangle, recipe.dataset.width_height, photo)
    row = replace(row, face=face, rectangle=rectangle)
    if not contains(rectangle, face):
        return dropped(row, "face would be cut")
    if face.height > recipe.crop.max_face_share * rectangle.height:
        return dropped(row, f"face too close: {face.height / rectangle.height:.2f} of the height")
    if face.height > portrait.face_shares[1] * rectangle.height:
        share = face.height / rectangle.height
        return dropped(row, f"too little room: face {share:.2f}, {portrait.face_share:.2f} wanted")
    return sized(row, recipe)


def wanted_size(face: Box, recipe: Recipe) -> tuple[float, float]:
    """Width and height of the portrait: wider than wanted where that brings enough pixels."""
    portrait = recipe.portrait
    width, height = face.width * portrait.face_widths, face.height * portrait.face_heights
    least_width, least_height = recipe.crop.least(recipe.dataset)
    lacking = max(1.0, min(least_width / width, least_height / height))
    wider = min(lacking, portrait.face_share / portrait.face_shares[0])
    return width * wider, height * wider


def sized(row: Row, recipe: Recipe) -> Row:
    """The row, dropped where its picture would have to be enlarged."""
    assert row.rectangle is not None
    width, height = recipe.crop.least(recipe.dataset)
    if row.rectangle.width < width and row.rectangle.height < height:
        return dropped(row, f"too few pixels: {row.rectangle.width} x {row.rectangle.height}")
    return row
