"""Find the face in each photo. Slow, so it only measures; Crop decides."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import detectors
from detectors.base import Box, Detection, Detector
from pipeline.manifest import Row, dropped
from pipeline.options import Settings, option
from pipeline.unit import Item


@dataclass(frozen=True)
class DetectConfig(Settings):
    """What looks for faces."""

    detector: Literal["haar", "none"] = option(
        "haar", "haar: OpenCV's frontal-face cascade; none: each photo is a portrait as it is"
    )
    min_face: float = option(
        0.1, "smallest face to look for, as a share of the photo's longer side", low=0.01, high=1
    )


load = cache(detectors.load)


def detect(items: Sequence[Item], config: DetectConfig, folder: Path) -> Iterator[list[Row]]:
    """Read each photo once, decode it small, and write down everything that was found."""
    from pipeline import images

    find = load(config.detector, config.min_face)
    for item in items:
        data = images.read(item)
        try:
            boxes = measure(data, item.row, find)
        except images.UnreadableError as reason:
            yield [dropped(item.row, str(reason))]
        else:
            yield [replace(item.row, boxes=boxes)]


def measure(data: bytes, row: Row, find: Detector) -> tuple[Detection, ...]:
    """All finds in one photo, in its full-size pixels."""
    from pipeline import images

    grey = images.decode_grey(data, find.long_side)
    scale = row.width / grey.shape[1], row.height / grey.shape[0]
    return tuple(found._replace(box=enlarged(found.box, scale)) for found in find([grey])[0])


def enlarged(box: Box, scale: tuple[float, float]) -> Box:
    x, y = scale
    return Box(round(box.left * x), round(box.top * y), round(box.right * x), round(box.bottom * y))
