"""Decide which part of each photo is the portrait. Boxes in, rectangle out; no pixels.

What a person decided in the review comes first; then a crop detector's rectangle; then the face.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from atelier.boxes import Box, aligned, contains, within
from atelier.options import option
from detectors import FACE, KINDS, Spec
from pipeline.options import Settings, SettingsError
from pipeline.photos.geometry import around
from pipeline.rows.decisions import Decision
from pipeline.rows.manifest import Row, dropped
from pipeline.sections import DatasetConfig, PortraitConfig
from pipeline.stages.detect import Look
from pipeline.stages.rulebook import RuleError, check_labels, parse, unseen
from pipeline.stages.rules import judge, middle, once

COUNTS = 1 / 3  # faces under this share of the largest one's height are bystanders


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
    enlarge: bool = option(
        False, "keep portraits whose longer side is under the dataset's: they would be enlarged"
    )
    rules: str = option(
        "[]", "JSON list of rules on what was found, read top to bottom: docs/rules.md"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            parse(self.rules)
        except RuleError as error:
            raise SettingsError(f"[Crop] rules: {error}") from None


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


def crop_notes(rows: Iterable[Row], config: CropConfig) -> list[str]:
    """What a person should know about the rules."""
    return unseen(parse(config.rules), rows)


def crop(row: Row, recipe: Recipe, decision: Decision | None = None) -> Iterator[Row]:
    """Yield the row once per portrait in it, or once, dropped. Its faces are canonical boxes."""
    if row.drop is not None:
        yield row
        return
    if decision is not None:
        yield from decided(row, decision, recipe)
        return
    rules = parse(recipe.crop.rules)
    for proposal in proposed(row, recipe):
        reason = None if proposal.drop else judge(proposal, rules)
        yield dropped(proposal, reason) if reason else proposal


def decided(row: Row, decision: Decision, recipe: Recipe) -> Iterator[Row]:
    """What a person saw counts: no rule, and nothing that a detector found, is asked."""
    if decision.action == "refuse":
        yield dropped(row, f"{decision.reason}: refused in the review")
        return
    for named, rectangle in numbered(row, decision.rectangles):
        yield given(named, rectangle, recipe)


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
        numbers = numbered(row, chosen) if config.faces == "each" else [(row, chosen[0])]
        yield from (given(named, box, recipe) for named, box in numbers)
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
    size = face.width * portrait.face_widths, face.height * portrait.face_heights
    place = portrait.face_x, portrait.face_y
    rectangle = aligned(around(face, size, place, photo), recipe.dataset.width_height, photo)
    row = replace(row, face=face, rectangle=rectangle)
    if not contains(rectangle, face):
        return dropped(row, "face would be cut")
    if face.height > recipe.crop.max_face_share * rectangle.height:
        return dropped(row, f"face too close: {face.height / rectangle.height:.2f} of the height")
    return sized(row, recipe)


def sized(row: Row, recipe: Recipe) -> Row:
    """The row, dropped where its picture would have to be enlarged."""
    assert row.rectangle is not None
    width, height = recipe.dataset.width_height
    enlarged = row.rectangle.width < width and row.rectangle.height < height
    if enlarged and not recipe.crop.enlarge:
        return dropped(row, f"too few pixels: {row.rectangle.width} x {row.rectangle.height}")
    return row
