"""The real size of photos that annotations speak of, to find boxes drawn on another one."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from atelier import pictures
from atelier.listing import walk


class PhotoSizes:
    """A folder of photos, found by name or by stem, and compared in size."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = {path.relative_to(folder).as_posix(): path for path in walk(folder)}
        self.stems: dict[str, list[PurePosixPath]] = defaultdict(list)
        for name in map(PurePosixPath, self.files):
            if name.suffix.lower() not in (".xml", ".txt", ".csv", ".json"):
                self.stems[str(name.with_suffix(""))].append(name)

    def __contains__(self, filename: str) -> bool:
        return filename in self.files

    def of_stem(self, stem: str) -> list[PurePosixPath]:
        """The photos whose path without suffix is `stem`."""
        return self.stems.get(stem, [])

    def compare(
        self, filename: str, said: tuple[int, int], warn: Callable[[str], None]
    ) -> str | None:
        """Why boxes drawn on a photo of size `said` do not fit this one; None if they do."""
        try:
            seen = pictures.header(self.files[filename].read_bytes(), pictures.PIXEL_LIMIT)
        except pictures.UnreadableError as error:
            return f"{filename} cannot be opened ({error}); take the photo or its boxes out"
        upright, turned = (seen.width, seen.height), seen.orientation
        if said == upright:
            if turned in (2, 3, 4):
                warn(
                    f"{filename} has EXIF orientation {turned}: check that its boxes were drawn on"
                    " the photo as it is shown upright"
                )
            return None
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
