"""Sections that several stages read: what a portrait is like, and every picture of the dataset."""

import re
from dataclasses import dataclass
from typing import Literal

from PIL import ImageColor

from atelier.options import at_home, number_in, option
from pipeline.options import Settings, located, recipe_value
from training.exchange.described import describe_model

LARGEST = 4096  # pixels a side
AUTO, USUAL = "auto", "1024"  # what the former is where nothing is fine-tuned


@dataclass(frozen=True)
class DatasetConfig(Settings):
    """What every picture of the dataset is like."""

    size: str = option(
        AUTO,
        "side in pixels, or width x height as in 128x64; auto: 1024, or the size of the model that"
        " [TrainStyleGAN] resume_from names",
    )
    channels: Literal["rgb", "grey", "rgba"] = option("rgb", "rgb, grey, or rgba (needs png)")
    background: str = option("white", "colour of the padding, and behind transparent photos")
    format: Literal["jpeg", "png"] = option("jpeg", "file format of the pictures")
    quality: int = option(95, "JPEG quality", low=1, high=100)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size == AUTO:  # the key is that of what it stands for
            object.__setattr__(self, "size", usual_size())
        if not re.fullmatch(r"[1-9]\d{0,4}(x[1-9]\d{0,4})?", self.size):
            self.refuse("size", "give pixels, as in 1024 or 128x64")
        if max(self.width_height) > LARGEST:
            self.refuse("size", f"give at most {LARGEST} pixels a side")
        if self.channels == "rgba" and self.format != "png":
            self.refuse("channels", "JPEG has no transparency; set [Dataset] format = png")

        try:
            opaque = len(ImageColor.getrgb(self.background)) == 3
        except ValueError:
            opaque = False
        if not opaque:
            self.refuse("background", "give a colour, as white or #f0f0f0")

    @property
    def width_height(self) -> tuple[int, int]:
        width, _, height = self.size.partition("x")
        return int(width), int(height or width)


def usual_size() -> str:
    """The size of a dataset for which none is named: that of the model to begin from, if any."""
    model = recipe_value("TrainStyleGAN", "resume_from")
    if not model or not located(at_home(model)).exists():
        return USUAL
    form = describe_model(located(at_home(model))).config
    return size_in_words(form.width, form.height)


def size_in_words(width: int, height: int) -> str:
    """A size as `[Dataset] size` has it."""
    return str(width) if width == height else f"{width}x{height}"


@dataclass(frozen=True)
class PortraitConfig(Settings):
    """The shape of a portrait, in faces."""

    face_widths: float = option(3.0, "width of the portrait, in face boxes", low=1)
    face_heights: float = option(4.0, "height of the portrait, in face boxes", low=1)
    face_x: float = option(
        0.5, "where the face's centre is, as a share of the width", low=0, high=1
    )
    face_y: float = option(
        0.4, "where the face's centre is, as a share of the height", low=0, high=1
    )
    headroom: float = option(
        0.35,
        "least room above the face box, in face boxes, where the photo has it: for the hair; 0: the"
        " centre decides",
        low=0,
        high=2,
        was=0.0,
    )
    shrink: str = option(
        "",
        "least-most, as in 0.2-0.4: the face's share of the height down to which a portrait widens"
        " for more pixels, and up to which it shrinks where the photo is tight; tighter ones are"
        " dropped. Empty: none widens, none is dropped for it",
        later=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            least, most = self.face_shares
        except ValueError:
            self.refuse("shrink", "give two shares with a dash between, as in 0.2-0.4")
        if not 0 < least <= self.face_share <= most <= 1:
            self.refuse(
                "shrink",
                f"give shares of 0 to 1 around {self.face_share:.4g}, which face_heights ="
                f" {self.face_heights:g} wants",
            )

    @property
    def face_share(self) -> float:
        """The height of the face that is wanted, as a share of the portrait's."""
        return 1 / self.face_heights

    @property
    def face_shares(self) -> tuple[float, float]:
        """The least and the greatest share that a portrait may have instead."""
        if not self.shrink.strip():
            return self.face_share, 1.0
        least, _, most = self.shrink.partition("-")
        return number_in(least), number_in(most)
