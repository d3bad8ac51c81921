"""Pictures of one size and mode in a folder or zip, seen as the pipeline sees them."""

from atelier import pictures
from training.sources import labels
from training.sources.source import DataError, Pixels, Size, in_words
from training.sources.stores import FILE, Store, picture_names

MODES = {"L": 1, "RGB": 3, "RGBA": 4}


class Pictures:
    """The pictures of a store: upright, sRGB; with ada-pytorch's dataset.json or not."""

    def __init__(self, store: Store) -> None:
        self.store, self.path, self.digest = store, store.path, store.digest
        self.names = picture_names(store)
        if not self.names:
            raise DataError(f"{store.path} holds no TFRecords and no pictures: name another folder")
        self.shape = self.looked_at(self.names[0])
        for name in self.names[1:]:
            if (shape := self.looked_at(name)) != self.shape:
                raise DataError(
                    f"{store.path}/{name} is {in_words(shape)}, but {self.names[0]} is"
                    f" {in_words(self.shape)}: make all pictures alike"
                )
        self.labels, self.notes = labels.read_labels(store, self.names)
        self.notes = [*left_out(store, self.names), *self.notes]

    def __len__(self) -> int:
        return len(self.names)

    def read(self, number: int) -> Pixels:
        name = self.names[number]
        pixels = decoded_picture(self.store.open(name), f"{self.path}/{name}", self.shape[2])
        if pixels.shape != self.shape:
            raise DataError(
                f"{self.path}/{name} is {in_words(pixels.shape)}, and its head said"
                f" {in_words(self.shape)}: save it again"
            )
        return pixels

    def looked_at(self, name: str) -> Size:
        """The size of a picture, from its head where that says it."""
        try:
            seen = pictures.header(self.store.head(name), pictures.PIXEL_LIMIT)
        except pictures.UnreadableError:
            try:
                seen = pictures.header(self.store.open(name), pictures.PIXEL_LIMIT)
            except pictures.UnreadableError as error:
                raise DataError(
                    f"{self.path}/{name} cannot be read as a picture: {error}; replace it, or take"
                    " it out"
                ) from None
        if seen.mode not in MODES:
            raise DataError(
                f"{self.path}/{name} has mode {seen.mode}: save it as grey (L), RGB or RGBA with 8"
                " bits"
            )
        return seen.height, seen.width, MODES[seen.mode]


def decoded_picture(content: bytes, where: str, channels: int) -> Pixels:
    """A picture of so many channels, H W C; raises DataError."""
    mode = next(mode for mode, number in MODES.items() if number == channels)
    try:
        pixels = pictures.decode(content, mode=mode)
    except pictures.UnreadableError as error:
        raise DataError(f"{where}: {error}: replace it, or take it out") from None
    return pixels.reshape(*pixels.shape[:2], channels)


def left_out(store: Store, names: list[str]) -> list[str]:
    """A sentence about the files that are no pictures of the dataset."""
    known = set(names)
    others = [n for n in store.names if n not in known and n.split("/")[-1] != FILE]
    if not others and not store.hidden:
        return []
    first = f", {others[0]!r} the first" if others else ""
    return [
        f"{store.path}: {store.hidden + len(others)} files are left out: {store.hidden} hidden or"
        f" in a device's own folder, {len(others)} no pictures{first}"
    ]
