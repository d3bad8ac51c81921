"""Accepted portraits to and from annotation files, to train a crop detector or to use LabelImg."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from atelier import files
from atelier.boxes import Box, has_area, within
from atelier.commands import number_of
from detectors.annotations import (
    Annotated,
    AnnotationError,
    Labelled,
    check_annotations,
    read_annotations,
    write_csv,
    write_voc,
)
from pipeline.options import SettingsError
from pipeline.review.photos import Photo
from pipeline.rows.decisions import Decision, Journal

PORTRAIT = "portrait"  # the class of a portrait's rectangle


def export(
    path: Path, photos: Sequence[Photo], held: Mapping[str, Decision]
) -> tuple[int, list[str]]:
    """Write the accepted rectangles of the photos to a CSV file or a folder of XML files.

    Returns the number of photos, and what of the accepted is left out: frames of clips, and photos
    outside of which their rectangles lie.
    """
    check_export(path)
    accepted = [photo for photo in photos if is_accepted(photo, held)]
    found = [annotated(photo, held[photo.id]) for photo in accepted if not photo.clip]
    written = sorted((each for each in found if each.boxes), key=lambda photo: photo.filename)
    left = not_exported(len(accepted) - len(found), len(found) - len(written))
    if not written:
        why = f"all that is accepted are {' and '.join(left)}" if left else "no photo is accepted"
        raise SettingsError(f"{why}: nothing to export")
    try:
        write = write_csv if path.suffix.lower() == ".csv" else write_voc
        write(path, written)
    except AnnotationError as error:
        raise SettingsError(f"--export {path}: {error}") from None
    return len(written), left


def check_export(path: Path) -> None:
    """Raise SettingsError for an `--export` that cannot be written."""
    folder = path.parent if path.suffix.lower() == ".csv" else path
    if not files.is_writable(folder) or (folder != path and path.is_dir()):
        raise SettingsError(f"--export {path}: nothing can be written there: name another place")


def check_import(path: Path) -> None:
    """Raise SettingsError for an `--import` of what is not there."""
    try:
        check_annotations(path)
    except AnnotationError as error:
        raise SettingsError(f"--import {error}") from None


def is_accepted(photo: Photo, held: Mapping[str, Decision]) -> bool:
    decision = held.get(photo.id)
    return decision is not None and decision.action == "accept"


def not_exported(frames: int, outside: int) -> list[str]:
    """In words what of the accepted cannot be exported."""
    said = {
        number_of(frames, "clip frame"): frames,
        f"{number_of(outside, 'photo')} with all rectangles outside": outside,
    }
    return [words for words, count in said.items() if count]


def annotated(photo: Photo, decision: Decision) -> Annotated:
    """What of its rectangles lies in the photo."""
    inside = (within(box, Box(0, 0, photo.width, photo.height)) for box in decision.rectangles)
    boxes = tuple(Labelled(PORTRAIT, box) for box in inside if has_area(box))
    return Annotated(photo.path, photo.width, photo.height, boxes)


def bring_in(path: Path, photos: Sequence[Photo], journal: Journal) -> tuple[int, list[str]]:
    """Accept the rectangles of class `portrait` in a CSV or COCO file or a folder of XML files.

    Photos go by their path below the source, or by what of it only one has: `names.matched`.
    Returns how many photos were accepted, and a sentence for each that was not.
    """
    by_path = {photo.path: photo for photo in photos}
    try:
        found = read_annotations(path, names=by_path)
    except AnnotationError as error:
        raise SettingsError(f"--import {error}") from None
    warnings, accepted = list(found.warnings), list[Decision]()
    for each in found.photos:
        boxes = tuple(sorted(one.box for one in each.boxes if one.label == PORTRAIT))
        photo = by_path.get(each.filename)
        if reason := refusal(each, photo, bool(boxes)):
            warnings.append(f"{path}: {each.filename}: {reason}")
        elif photo is not None:
            accepted.append(Decision(photo.id, photo.path, "accept", boxes))
    journal.append(*accepted)
    return len(accepted), warnings


def refusal(each: Annotated, photo: Photo | None, boxes: bool) -> str:
    """Why an annotated photo is not taken, or nothing."""
    if photo is None:
        return "no photo, or several, of that name came to the review; left out"
    if not boxes:
        return f"no box of class {PORTRAIT}; left out"
    if (each.width, each.height) != (photo.width, photo.height):
        return (
            f"drawn on {each.width} x {each.height} pixels, and the upright photo has"
            f" {photo.width} x {photo.height}; left out"
        )
    return ""
