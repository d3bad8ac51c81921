"""Two sets of pictures against each other: folders and zips of any sizes, or NVlabs' TFRecords."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from atelier import pictures
from atelier.commands import number_of
from atelier.pictures import PIXEL_LIMIT
from training.features.client import Extractor, Net, Pixels, batched
from training.metrics import scores
from training.metrics.measure import SEED, gathered, lessons, metric_name
from training.sources import DataError, open_records, open_source, open_store
from training.sources.pictures import decoded_picture
from training.sources.stores import picture_names


class Gallery:
    """Pictures one after the other, each in its own size, as HWC uint8."""

    def __init__(self, path: Path) -> None:
        """Raises DataError where there are fewer than two."""
        self.path = path
        self.records = open_records(path)
        self.store = None if self.records else open_store(path)
        self.names = picture_names(self.store) if self.store else []
        if not self.records and not self.store:
            raise DataError(f"{path} is no set of pictures: name a folder, a zip or TFRecords")
        self.count = len(self.records) if self.records else len(self.names)
        if self.count < 2:
            raise DataError(
                f"{path} holds {number_of(self.count, 'picture')}: a score needs at least two"
            )

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Pixels]:
        if self.records:
            yield from map(self.records.read, range(self.count))
            return
        assert self.store
        for name in self.names:
            yield decode_pictures(self.store.open(name), f"{self.path}/{name}")


def decode_pictures(content: bytes, where: str) -> Pixels:
    """A picture as grey, RGB or RGBA; raises DataError."""
    try:
        mode, channels = pictures.header(content, PIXEL_LIMIT).mode, pictures.channels_of(content)
    except pictures.UnreadableError as error:
        raise DataError(f"{where} cannot be read as a picture: {error}") from None
    if mode.startswith(("I", "F")):
        raise DataError(f"{where} has mode {mode}: save it with 8 bits per channel")
    return decoded_picture(content, where, channels)


def compare(reals: Gallery, fakes: Gallery, net: Net) -> dict[str, float]:
    """Frechet distance, KID, precision and recall of the `fakes` against the `reals`.

    A classifier learns from the labels of `reals`, anew every time.
    """
    with TemporaryDirectory() as scratch, open_pictures(reals, net, Path(scratch)) as extractor:
        a, b = (
            gathered(Path(scratch, name), extractor, batched(gallery), len(gallery))[0]
            for name, gallery in (("one.npy", reals), ("two.npy", fakes))
        )
        distance = scores.frechet(scores.moments(a), scores.moments(b))
        found = {"fid": distance, "kid": scores.kid(a, b, SEED)}
        if min(len(a), len(b)) > scores.NEIGHBOURS:
            found["pr_precision"], found["pr_recall"] = scores.precision_recall(a, b)
        return {metric_name(name, extractor.label): value for name, value in found.items()}


def open_pictures(reals: Gallery, net: Net, scratch: Path) -> Extractor:
    """The features process; a classifier is taught with the pictures of `reals`."""
    if net.kind != "classifier":
        return Extractor(net)
    place = Net(net.kind, str(scratch / "classifier.pt"), net.device, net.threads)
    return Extractor(place, lessons(open_source(reals.path)))
