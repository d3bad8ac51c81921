"""What stands in an annotation file -> boxes that can be: mended with a warning, or refused."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from atelier.boxes import Box, within
from atelier.names import matched, name_key
from detectors.annotations.photo import Annotated, AnnotationError, Entry, Labelled
from detectors.annotations.sizes import PhotoSizes

SMALLEST = 2  # pixels; a lower or narrower box is a slip of the mouse


def present(
    entries: Sequence[Entry], sizes: PhotoSizes, warn: Callable[[str], None]
) -> list[Entry]:
    """The entries of photos that are there, by the names that these have."""
    meant = matched((entry.filename for entry in entries), sizes.files)
    places = {entry.filename: entry.place for entry in reversed(entries)}
    for said, names in meant.items():
        if not names:
            warn(f"{places[said]}: no photo {said} in {sizes.folder}; left out")
        elif len(names) > 1:
            warn(f"{places[said]}: {said} may be {' or '.join(names)}; left out: give its path")
    alone = one_meant(meant)
    loose = [said for said, name in alone.items() if name_key(name) != name_key(said)]
    if loose:
        warn(
            f"{len(loose)} names are taken without their folder, suffix or capitals, as"
            f" {loose[0]} for {alone[loose[0]]}"
        )
    there = [entry for entry in entries if entry.filename in alone]
    return [entry._replace(filename=alone[entry.filename]) for entry in there]


def one_meant(meant: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Of what `matched` found, the names that mean one photo alone, with it."""
    return {said: names[0] for said, names in meant.items() if len(names) == 1}


def by_photo_names(entries: Sequence[Entry], names: Iterable[str] | None) -> list[Entry]:
    """The entries by the names of the photos that they mean; by one form where these are unknown.

    Two photos may differ in the Unicode form of their names alone.
    """
    if names is None:
        return [entry._replace(filename=name_key(entry.filename)) for entry in entries]
    alone = one_meant(matched((entry.filename for entry in entries), names))
    return [entry._replace(filename=alone.get(entry.filename, entry.filename)) for entry in entries]


def distinct(entries: Sequence[Entry], warnings: list[str]) -> list[Entry]:
    """The entries without those that say the same as an earlier one."""
    first: dict[tuple[object, ...], str] = {}
    kept = []
    for entry in entries:
        seen = first.setdefault(entry[1:], entry.place)
        if seen == entry.place:
            kept.append(entry)
        else:
            warnings.append(f"{entry.place}: the same box as at {seen}; counted once")
    return kept


def known_classes(entries: list[Entry], classes: Collection[str] | None) -> list[Entry]:
    """The entries; raises AnnotationError for a class or a box that is missing, and for a class
    that is not in `classes`.
    """
    for place, _, _, label, edges, _ in entries:
        if any(edges) and not label:
            raise AnnotationError(f"{place}: a box without a class; name what it shows")
        if label and not any(edges):
            raise AnnotationError(
                f"{place}: class {label!r} without a box; give its edges, or take the class out"
            )
        if label and classes is not None and label not in classes:
            raise AnnotationError(
                f"{place}: class {label!r} is not one of {', '.join(sorted(classes))}"
            )
    return entries


def annotated(
    filename: str, entries: list[Entry], sizes: PhotoSizes | None, warn: Callable[[str], None]
) -> Annotated:
    """One photo; its true size is that of the file, where there is one."""
    place, size = entries[0].place, entries[0].size
    for entry in entries:
        if entry.size != size:
            raise AnnotationError(
                f"{entry.place}: {filename} is {' x '.join(entry.size)} pixels here and"
                f" {' x '.join(size)} at {place}; keep the right one"
            )
    width, height = (whole_number(place, side or "0") for side in size)
    if sizes:
        width, height = sizes.known(place, filename, (width, height), warn)
    if width < 1 or height < 1:
        raise AnnotationError(
            f"{place}: {filename} is {width} x {height} pixels; give its size, or the folder of"
            " its photo"
        )
    found = (labelled(entry, width, height, warn) for entry in entries if any(entry.edges))
    return Annotated(filename, width, height, tuple(each for each in found if each))


def labelled(entry: Entry, width: int, height: int, warn: Callable[[str], None]) -> Labelled | None:
    """The box, cut to the photo; None where nothing of it is left."""
    xmin, ymin, xmax, ymax = edges = [number(entry.place, edge) for edge in entry.edges]
    if not all(map(math.isfinite, edges)):
        warn(f"{entry.place}: an edge of {entry.label!r} is no finite number; left out")
        return None
    relative = all(0 <= edge <= 1 for edge in edges)
    if relative and (edges == [0, 0, 1, 1] or any(edge % 1 for edge in edges)):
        raise AnnotationError(
            f"{entry.place}: edges between 0 and 1, so relative ones; give pixels: multiply by"
            f" {width} and {height}"
        )
    if xmax < xmin or ymax < ymin:
        warn(
            f"{entry.place}: {entry.label!r} has its corners swapped, from {xmin:g} to {xmax:g} and"
            f" from {ymin:g} to {ymax:g}; left out: swap them back"
        )
        return None
    if turn := degrees_of(entry.turn):
        xmin, ymin, xmax, ymax = around_turned(edges, turn)
        warn(
            f"{entry.place}: {entry.label!r} is turned by {turn:g} degrees; taken as the upright"
            " box around it"
        )
    left, top, right, bottom = round(xmin) - 1, round(ymin) - 1, round(xmax), round(ymax)
    box = within(Box(left, top, right, bottom), Box(0, 0, width, height))
    if box.width < SMALLEST or box.height < SMALLEST:
        warn(f"{entry.place}: {entry.label!r} is under {SMALLEST} pixels in the photo; left out")
        return None
    if min(left, top) < -1 or right > width or bottom > height:  # -1: it counts from 0
        warn(f"{entry.place}: {entry.label!r} lies partly outside the photo; cut to it")
    return Labelled(entry.label, box)


def degrees_of(turn: str) -> float:
    """By how much a box is turned; 0 where that is no number, or turns it into itself."""
    try:
        found = float(turn)
    except ValueError:
        return 0.0
    return found if math.isfinite(found) and found % 180 else 0.0


def around_turned(edges: Sequence[float], degrees: float) -> tuple[float, float, float, float]:
    """The edges of the upright box around one that is turned about its middle, counted from 1."""
    xmin, ymin, xmax, ymax = edges
    width, height = xmax - xmin + 1, ymax - ymin + 1
    cos, sin = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    more = (width * (cos - 1) + height * sin) / 2, (width * sin + height * (cos - 1)) / 2
    return xmin - more[0], ymin - more[1], xmax + more[0], ymax + more[1]


def whole_number(place: str, value: str) -> int:
    found = number(place, value)
    if not math.isfinite(found):
        raise AnnotationError(f"{place}: {value!r} is no size; give pixels")
    return round(found)


def number(place: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise AnnotationError(f"{place}: {value!r} is no number; give pixels") from None
