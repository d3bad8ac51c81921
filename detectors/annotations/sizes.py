"""The real size of photos that annotations speak of, to find boxes drawn on another one."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from atelier import pictures
from atelier.listing import photos
from atelier.names import caseless, stem
from atelier.pictures import Header
from detectors.annotations.photo import AnnotationError


class PhotoSizes:
    """A folder of photos, found by name or by stem, and compared in size."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = photos(folder)
        self.stems: dict[str, list[PurePosixPath]] = defaultdict(list)
        for name in self.files:
            self.stems[stem(name)].append(PurePosixPath(name))

    def __contains__(self, filename: str) -> bool:
        return filename in self.files

    def of_stem(self, name: str) -> list[PurePosixPath]:
        """The photos whose path without suffix is `name`."""
        return self.stems.get(caseless(name), [])

    def known(
        self, place: str, filename: str, said: tuple[int, int], warn: Callable[[str], None]
    ) -> tuple[int, int]:
        """The upright size of the photo; raises AnnotationError where boxes do not fit it.

        A size under 1 says nothing: LabelImg writes 0 x 0 where it could not tell.
        """
        try:
            seen = pictures.header(self.files[filename].read_bytes(), pictures.PIXEL_LIMIT)
        except pictures.UnreadableError as error:
            raise AnnotationError(
                f"{place}: {filename} cannot be opened ({error}); take the photo or its boxes out"
            ) from None
        width, height = upright = seen.width, seen.height
        if min(said) < 1:
            warn(f"{place}: no size of {filename}; taken from the photo: {width} x {height}")
        elif said != upright:
            raise AnnotationError(f"{place}: {misfit(filename, said, seen)}")
        if seen.orientation in (2, 3, 4) or (min(said) < 1 and seen.orientation != 1):
            warn(
                f"{filename} has EXIF orientation {seen.orientation}: check that its boxes were"
                " drawn on the photo as it is shown upright"
            )
        return upright


def misfit(filename: str, said: tuple[int, int], seen: Header) -> str:
    """Why boxes drawn on a photo of size `said` do not fit this one."""
    upright, turned = (seen.width, seen.height), seen.orientation
    if said == seen.stored:
        return (
            f"{filename} is {upright[0]} x {upright[1]} pixels upright, and its boxes were"
            f" drawn on it lying, {said[0]} x {said[1]} (EXIF orientation {turned}): draw them"
            " again on the upright photo"
        )
    return (
        f"{filename} is {upright[0]} x {upright[1]} pixels, and its boxes were drawn on"
        f" {said[0]} x {said[1]}: scale them, or use the photo that they were drawn on"
    )
