"""What the review shows: every photo with its proposals, in a useful order."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from atelier.boxes import Box, has_area, within
from detectors.base import Detection
from pipeline.options import SettingsError
from pipeline.photos.geometry import around
from pipeline.rows.decisions import Decision, in_force
from pipeline.rows.manifest import Row
from pipeline.sections import PortraitConfig
from pipeline.stages.crop import MAKE_PORTRAITS, Recipe, crop
from pipeline.stages.rules import once


@dataclass(frozen=True)
class Photo:
    """One photo as a person sees it; boxes in pixels of the upright photo."""

    id: str
    path: str  # below the source folder; of a video's frame, below the store
    width: int
    height: int
    found: tuple[Detection, ...]  # everything that the detectors saw
    candidates: tuple[Box, ...]  # portraits to choose from, the proposal first; at least one
    outcome: str  # what Crop makes of it by itself: "kept", or the reason to drop it
    clip: str = ""  # the video that it is a frame of
    edited: bool = False  # its path had another photo, which was decided

    @property
    def whole(self) -> Box:
        return Box(0, 0, self.width, self.height)


def photos(
    rows: Iterable[Row],
    places: Mapping[str, Row],
    recipe: Recipe,
    decisions: Sequence[Decision],
) -> list[Photo]:
    """The photos that came into Crop. `places`: photo id -> the row that says where it lies."""
    shown = [row for row in rows if row.drop is None]
    held, ids = in_force(decisions), {row.photo for row in shown}
    # A decision about a photo that is gone from its path is about what lies there now, too.
    gone = {d.path: d for d in held.values() if d.photo not in ids and d.rectangles}
    made = []
    for row in shown:
        place = places[row.photo]
        old = gone.get(place.path) if row.photo not in held else None
        made.append(photo(row, place, recipe, old))
    return made


def photo(row: Row, place: Row, recipe: Recipe, old: Decision | None) -> Photo:
    """One photo with the portraits to choose from; `old` is decided about one it replaced."""
    portrait = recipe.portrait
    outcomes = list(crop(row, recipe))
    whole = Box(0, 0, row.width, row.height)
    found = tuple(each for each in row.boxes if has_area(each.box))
    boxes = [*old.rectangles] if old else []
    boxes += [out.rectangle for out in outcomes if out.rectangle]
    boxes += [each.box for each in once(f for f in found if f.label == "portrait")]
    faces = sorted({each.box for each in found if each.label == "face"}, key=larger_first)
    boxes += [portrait_around(face, portrait, whole) for face in faces]
    boxes += [largest(portrait, whole), whole]
    inside = (within(box, whole) for box in boxes)
    distinct = tuple(dict.fromkeys(filter(has_area, inside)))
    said = next((o.drop for o in outcomes if o.drop), None) or "kept"
    sides = row.width, row.height
    return Photo(row.photo, place.path, *sides, found, distinct, said, place.clip, old is not None)


def larger_first(box: Box) -> tuple[int, Box]:
    return -box.height, box


def portrait_around(face: Box, portrait: PortraitConfig, whole: Box) -> Box:
    size = face.width * portrait.face_widths, face.height * portrait.face_heights
    return around(face, size, (portrait.face_x, portrait.face_y), whole, portrait.headroom)


def largest(portrait: PortraitConfig, whole: Box) -> Box:
    """The largest rectangle of the portrait's ratio in the middle of the photo."""
    middle = Box(whole.right // 2, whole.bottom // 2, whole.right // 2, whole.bottom // 2)
    scale = max(whole.width, whole.height)
    size = scale * portrait.face_widths, scale * portrait.face_heights
    return around(middle, size, (0.5, 0.5), whole)


def ordered(shown: Sequence[Photo], order: Sequence[str]) -> list[Photo]:
    """The photos in the order that was asked for; edited ones come first.

    `unsure`: least sure finds first, then photos without one. `random`: the same shuffle every
    time. Anything else names reasons of Crop: only the photos that it drops for them.
    """
    if order == ["unsure"]:
        chosen = sorted(shown, key=sureness)
    elif order == ["random"]:
        chosen = sorted(shown, key=lambda p: hashlib.blake2b(p.id.encode()).digest())
    else:
        chosen = sorted(of_reasons(shown, order), key=sureness)
    return sorted(chosen, key=lambda p: not p.edited)


def sureness(shown: Photo) -> tuple[bool, float, str]:
    """Sorts by the score of the best face or portrait; without one, last."""
    scores = [f.score for f in shown.found if f.label in MAKE_PORTRAITS]
    return not scores, max(scores, default=0), shown.id


def of_reasons(shown: Sequence[Photo], reasons: Sequence[str]) -> list[Photo]:
    """The photos that Crop drops for one of these reasons; raises SettingsError for no reason."""
    named = {p.id: p.outcome.split(":")[0] for p in shown}
    there = sorted(set(named.values()))
    for reason in reasons:
        if reason not in there:
            raise SettingsError(
                f"--order {reason!r}: give unsure, random, or what became of photos in Crop:"
                f" {', '.join(map(repr, there)) or 'nothing is there'}"
            )
    return [p for p in shown if named[p.id] in reasons]
