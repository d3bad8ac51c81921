"""COCO's JSON of boxes, as most programs for labelling write it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from atelier.files import json_of
from atelier.names import in_one_form
from detectors.annotations.photo import AnnotationError, Entry

LISTS = ("images", "annotations", "categories")
NO_BOX = ("", "", "", "")
HALF = re.compile("[\ud800-\udfff]")  # of a letter that JSON writes as a pair
T = TypeVar("T")


class Image(NamedTuple):
    """A photo as COCO has it."""

    place: str
    filename: str
    size: tuple[str, str]


def coco_entries(path: Path, warn: Callable[[str], None]) -> Iterator[Entry]:
    """The boxes of a COCO file, then its photos without any; COCO counts pixels from 0."""
    lists = lists_of(path)
    images = by_id(path, "images", lists["images"], image_of)
    names = by_id(
        path, "categories", lists["categories"], lambda place, row: text(place, row, "name")
    )
    seen = set()
    for number, row in enumerate(lists["annotations"]):
        place = f"{path} annotations[{number}]"
        image = meant(place, row, "image_id", images)
        if row.get("iscrowd"):
            warn(f"{place}: a crowd, in which nobody drew each; left out")
            continue
        seen.add(image.place)
        label = in_one_form(meant(place, row, "category_id", names).strip())
        yield Entry(place, *image[1:], label, edges_of(place, row), turn_of(row))
    for image in images.values():
        if image.place not in seen:
            yield Entry(*image, "", NO_BOX)


def lists_of(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The three lists of objects; raises AnnotationError where they are not there."""
    try:
        found = json_of(path.read_bytes())
    except ValueError as error:
        raise AnnotationError(f"{path}: no JSON ({error}); export it again") from None
    found = found if isinstance(found, dict) else {}
    for name in LISTS:
        rows = found.get(name)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise AnnotationError(
                f"{path}: no COCO, which has lists {', '.join(LISTS)}: export it as COCO, Pascal"
                " VOC or CSV"
            )
    return found


def by_id(
    path: Path, name: str, rows: list[dict[str, Any]], read: Callable[[str, dict[str, Any]], T]
) -> dict[int | str, T]:
    """What a list holds, by the ids in it."""
    found: dict[int | str, T] = {}
    for number, row in enumerate(rows):
        place, own = f"{path} {name}[{number}]", row.get("id")
        if not isinstance(own, int | str) or own in found:
            raise AnnotationError(f"{place}: id {own!r} is none, or another's; number them anew")
        found[own] = read(place, row)
    return found


def image_of(place: str, row: dict[str, Any]) -> Image:
    width, height = (str(row.get(side) or "") for side in ("width", "height"))
    return Image(place, text(place, row, "file_name"), (width, height))


def text(place: str, row: dict[str, Any], name: str) -> str:
    """A word that must be there."""
    found = row.get(name)
    if not isinstance(found, str) or not found.strip():
        raise AnnotationError(f"{place}: no {name}; give it")
    if HALF.search(found):
        raise AnnotationError(f"{place}: {name} {found!r} holds half of a letter; write it again")
    return found


def meant(place: str, row: dict[str, Any], name: str, known: dict[int | str, T]) -> T:
    """What an id stands for."""
    own = row.get(name)
    if not isinstance(own, int | str) or own not in known:
        raise AnnotationError(
            f"{place}: {name} {own!r} is not in the file; take it out, or mend it"
        )
    return known[own]


def edges_of(place: str, row: dict[str, Any]) -> tuple[str, ...]:
    """xmin, ymin, xmax, ymax counted from 1, of x, y, width, height counted from 0."""
    box = row.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)):
        raise AnnotationError(f"{place}: bbox is not four numbers, x, y, width, height")
    left, top, width, height = (float(str(side)) for side in box)
    return tuple(map(str, (left + 1, top + 1, left + width, top + height)))


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def turn_of(row: dict[str, Any]) -> str:
    """The degrees by which CVAT's box is turned."""
    told = row.get("attributes")
    return str(told.get("rotation", "")) if isinstance(told, dict) else ""
