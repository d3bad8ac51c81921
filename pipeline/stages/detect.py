"""Find faces and other things in each photo. Slow, so it only measures; Crop decides."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING, Any

import detectors
from atelier import pictures
from atelier.boxes import Box
from atelier.commands import os_error_in_words, say
from atelier.options import option
from atelier.pictures import Pixels
from detectors import UNUSABLE, Detection, Detector, Spec
from detectors.packaged import YUNET
from pipeline.engine import cluster, processes
from pipeline.options import Settings, SettingsError, located
from pipeline.photos.folder import read_photos
from pipeline.rows import columns
from pipeline.rows.manifest import Item, Row, digest, dropped

if TYPE_CHECKING:
    import pyarrow as pa

FAULTS = {  # of finds: what is said of them
    "unusable": "have a box that is no number or has no area, and are left out",
    "unnamed": "are of a class that the label map does not name, and are called by its number",
}
AUTO = detectors.AUTO  # the key is that of what it stands for


@dataclass(frozen=True)
class DetectConfig(Settings):
    """What looks for faces and other things."""

    detector: str = option(
        AUTO,
        f"what looks, one or several with commas between: {AUTO}, {detectors.FORMS}; each may have"
        " options, as in tfod:FILE.pb?labels=FILE.pbtxt&min_score=0.3. auto: yunet where its model"
        " is installed, as make setup does, else haar; none: each photo is a portrait as it is",
        keyed="never",  # each detector enters the key of its own task
    )
    min_face: float = option(
        0.1, "smallest face to look for, as a share of the photo's longer side", low=0.01, high=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        specs = []
        for text in self.listed:
            try:
                specs.append(spec_of(text))
                detectors.check_spec(specs[-1])
            except ValueError as error:
                self.refuse("detector", str(error))
        if len(set(specs)) < len(specs):
            self.refuse("detector", "a detector is there twice")
        if not specs:
            self.refuse("detector", f"give one of {detectors.FORMS}")

    @property
    def listed(self) -> list[str]:
        """Each detector's own text, `auto` resolved."""
        texts = [text.strip() for text in self.detector.split(",") if text.strip()]
        return [detectors.usual() if text == AUTO else text for text in texts]

    @property
    def choice(self) -> str:
        """The sentence on what `auto` is here; empty where nobody asked for it."""
        if AUTO not in map(str.strip, self.detector.split(",")):
            return ""
        if detectors.usual() != "haar":
            return f"[Detect] detector = {AUTO} is {detectors.usual()} here"
        return (
            f"[Detect] detector = {AUTO} is haar here, which misses more faces: for yunet"
            f" {YUNET.way_out}"
        )

    @property
    def looks(self) -> "list[Look]":
        return [self.look(text) for text in self.listed]

    def look(self, text: str) -> "Look":
        """What the Detect of one detector of the list does; empty: the first."""
        if text and text not in self.listed:
            self.refuse("detector", f"{text} is none of them")
        return Look(spec_of(text or self.listed[0]), self.min_face)


@dataclass(frozen=True)
class Look:
    """One detector, ready to be sent to a worker."""

    spec: Spec
    min_face: float

    @property
    def library(self) -> str:
        """What it loads that must not meet torch."""
        return detectors.KINDS[self.spec.kind].library


class Looking:
    """A stage that finds things in photos with one detector of the list, by that one's text."""

    config: DetectConfig
    finder: str

    @property
    def title(self) -> str:
        """With the detector's name, where there are several or it was not named."""
        title = str(super().title)  # type: ignore[misc]
        named = len(self.config.listed) > 1 or self.config.choice
        return f"{title} {detectors.short(self.work_settings().spec)}" if named else title

    def work_settings(self) -> Look:
        return self.config.look(self.finder)

    def besides(self) -> dict[str, Any]:
        return detectors.identity(self.work_settings().spec)

    @property
    def library(self) -> str:
        return self.work_settings().library

    def row_key(self, row: Row) -> str:
        """0.1 took the sides of a TIFF that lies for each other, so its boxes are wrong."""
        known = str(super().row_key(row))  # type: ignore[misc]
        return digest([known, "upright"]) if row.format == "TIFF" else known

    def prepare(self, to_do: int) -> None:
        begin_detection(self.config)

    @property
    def tally(self) -> "Callable[[pa.Table], dict[str, Any]]":
        return partial(counted_finds, look=self.work_settings())

    def notes(self, tallies: Sequence[Mapping[str, Any]]) -> list[str]:
        return detect_notes(tallies, self.work_settings())


def spec_of(text: str) -> Spec:
    """One detector of the list, its files where a person means them."""
    spec = detectors.parse(text)
    if detectors.on_disk(spec):
        spec = replace(spec, model=str(located(spec.model)))
    return replace(spec, labels=str(located(spec.labels))) if spec.labels else spec


def begin_detection(config: DetectConfig) -> None:
    """Check the detectors, and say which one was chosen where nobody named one."""
    check_detectors(config)
    if config.choice:
        say(f"Detect: {config.choice}")


@cache
def check_detectors(config: DetectConfig) -> None:
    """Load every model once, so that what is wrong with one is said before the long work.

    That happens in a process of its own: TensorFlow must not be imported where Luigi runs.
    Raises SettingsError.
    """
    models = [look for look in config.looks if is_given(look.spec)]
    if not models:
        return
    try:
        processes.run_apart(try_out, models)
    except ValueError as error:
        raise SettingsError(f"[Detect] detector: {error}") from None
    except OSError as error:
        raise SettingsError(f"[Detect] detector: {os_error_in_words(error)}") from None
    except BrokenProcessPool:
        names = ", ".join(detectors.short(look.spec) for look in models)
        raise SettingsError(
            f"[Detect] detector: loading {names} ended that process, for want of memory or by what"
            " is in the model: name another"
        ) from None


def is_given(spec: Spec) -> bool:
    """Whether its model is a person's, who may have given a wrong one."""
    return bool(spec.model) and detectors.KINDS[spec.kind].is_given


def try_out(looks: Sequence[Look]) -> None:
    for look in looks:
        detectors.load(look.spec, look.min_face)


load = cache(detectors.load)


def detect(items: Sequence[Item], look: Look, folder: Path) -> Iterator[list[Row]]:
    """Read each photo once, decode it small, and write down everything that was found."""
    cluster.refuse_company(look.library)
    if missing := lacking(look.spec):
        raise cluster.MachineError(f"{gethostname()} cannot look for faces: {missing}")
    find = load(look.spec, look.min_face)
    photos = read_photos(items)
    for _ in range(0, len(items), find.together):
        yield from detected(islice(photos, find.together), find)


@cache
def lacking(spec: Spec) -> str:
    """Why this machine cannot run a detector whose model comes in a package; or nothing."""
    try:
        detectors.check_packaged(spec)
    except ValueError as error:
        return str(error)
    return ""


def detected(photos: Iterable[tuple[Item, bytes]], find: Detector) -> Iterator[list[Row]]:
    seen: dict[str, Pixels] = {}
    unreadable: dict[str, Row] = {}
    items: list[Item] = []
    for item, data in photos:
        items.append(item)
        try:
            seen[item.key] = small(data, find)
        except pictures.UnreadableError as reason:
            unreadable[item.key] = dropped(item.row, str(reason))
    found = dict(zip(seen, find(list(seen.values())), strict=True))
    for item in items:
        if item.key in unreadable:
            yield [unreadable[item.key]]
        else:
            boxes = full_size(found[item.key], seen[item.key], item.row)
            yield [replace(item.row, boxes=boxes)]


def small(data: bytes, find: Detector) -> Pixels:
    """The photo as this detector wants to see it."""
    decode = pictures.decode_grey if find.channels == 1 else pictures.decode_colour
    return decode(data, find.long_side)


def measure_photo(data: bytes, row: Row, find: Detector) -> tuple[Detection, ...]:
    """All finds in one photo, in its full-size pixels."""
    picture = small(data, find)
    return full_size(find([picture])[0], picture, row)


def full_size(found: Sequence[Detection], picture: Pixels, row: Row) -> tuple[Detection, ...]:
    """Finds in a small picture -> in the pixels of the upright photo."""
    scale = row.width / picture.shape[1], row.height / picture.shape[0]
    return tuple(one._replace(box=enlarged(one.box, scale)) for one in found)


def enlarged(box: Box, scale: tuple[float, float]) -> Box:
    x, y = scale
    return Box(round(box.left * x), round(box.top * y), round(box.right * x), round(box.bottom * y))


def counted_finds(table: "pa.Table", look: Look) -> dict[str, Any]:
    """How many finds of what kind, in how many photos: [finds, photos] of each kind in FAULTS."""
    import pyarrow as pa
    import pyarrow.compute as pc

    boxes, classes = columns.combined(table.column("boxes")), detectors.class_names(look.spec)
    found, photos = pc.struct_field(boxes.flatten(), "label"), pc.list_parent_indices(boxes)
    labels = pc.unique(found).to_pylist()
    meant = [
        [label for label in labels if label == UNUSABLE],
        [label for label in labels if is_unnamed(label, classes)],
    ]
    masks = [pc.is_in(found, pa.array(some, pa.string())) for some in meant]
    return {
        name: [pc.sum(mask).as_py() or 0, len(pc.unique(photos.filter(mask)))]
        for name, mask in zip(FAULTS, masks, strict=True)
    }


def detect_notes(tallies: Sequence[Mapping[str, Any]], look: Look) -> list[str]:
    """What a person should know about a detector and all that it found."""
    counts = {name: [sum(t[name][at] for t in tallies) for at in (0, 1)] for name in FAULTS}
    return detectors.remarks(look.spec) + [
        f"{detectors.short(look.spec)}: {finds} finds in {photos} photos {FAULTS[name]}"
        for name, (finds, photos) in counts.items()
        if finds
    ]


def is_unnamed(label: str, classes: Mapping[int, str]) -> bool:
    """Whether the label is the number of a class that has no name, though others have one."""
    return bool(classes) and label.isdigit() and label not in classes.values()
