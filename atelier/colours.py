"""Colours as a file means them -> sRGB: by ICC profile, by code points, or by a PNG's gamma."""

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageColor

from atelier.containers import Coding

SAME = 1  # of 255: colours that a profile moves by no more than this are those of sRGB
ROWS = 256  # of a picture that are converted at a time: floats take four times the room
HDR = {16: "PQ", 18: "HLG"}  # transfer functions of H.273 that no 8 bits can hold
LINEAR = 8
GAMMAS = {4: 2.2, 5: 2.8}  # all others are taken for sRGB's own, as browsers do
# From linear RGB of these primaries to that of sRGB (computed from H.273, table 2).
PRIMARIES = {
    9: [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    11: [[1.1574, -0.1549, -0.0025], [-0.0415, 1.0456, -0.0041], [-0.0181, -0.0786, 1.0967]],
    12: [[1.2249, -0.2249, 0.0], [-0.0421, 1.0421, 0.0], [-0.0196, -0.0786, 1.0983]],
}

Floats = NDArray[np.floating]


def hdr_name(coding: Coding | None) -> str:
    """PQ or HLG, where the file says that it is one of them."""
    return HDR.get(coding.transfer, "") if coding else ""


def rgb(colour: str) -> tuple[int, int, int]:
    """A colour's name or #rrggbb -> red, green, blue."""
    red, green, blue = ImageColor.getrgb(colour)[:3]
    return red, green, blue


def in_srgb(image: Image.Image, coding: Coding | None = None) -> Image.Image:
    """The image in sRGB; a broken profile is ignored, as browsers do."""
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB") or image
    profile = image.info.get("icc_profile")
    profile = profile if isinstance(profile, bytes) else None  # a TIFF's may be of any type
    if coding and (coding.over_profile or not profile):
        return by_code(image, coding)
    if profile:
        return by_profile(image, profile)
    gamma = image.info.get("gamma")
    if gamma and "srgb" not in image.info and not 0.4 < gamma < 0.5:
        return by_curve(image, 1 / gamma, None)
    return image


def by_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """What an ICC profile makes of it, unless that is what sRGB would."""
    image = unpaletted(image)
    if image.mode not in ("RGB", "RGBA", "CMYK", "L") or means_srgb(profile, image.mode):
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        output = "RGBA" if image.mode == "RGBA" else "RGB"
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, source, srgb, outputMode=output) or image
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image


@lru_cache(maxsize=256)
def means_srgb(profile: bytes, mode: str) -> bool:
    """Whether a profile maps test colours onto themselves; its name proves nothing."""
    if mode not in ("RGB", "RGBA"):
        return False
    steps = np.linspace(0, 255, 6).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = ImageCms.createProfile("sRGB")
        seen = ImageCms.profileToProfile(Image.fromarray(colours), source, srgb)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return True
    return int(np.abs(np.asarray(seen).astype(int) - colours).max()) <= SAME


def by_code(image: Image.Image, coding: Coding) -> Image.Image:
    """What the code points of its primaries and its transfer function make of it."""
    matrix = PRIMARIES.get(coding.primaries)
    exponent = 1.0 if coding.transfer == LINEAR else GAMMAS.get(coding.transfer, 0.0)
    if matrix is None and not exponent:
        return image
    return by_curve(image, exponent, matrix)


def by_curve(image: Image.Image, exponent: float, matrix: list[list[float]] | None) -> Image.Image:
    """Numbers to light (by sRGB's own curve where `exponent` is 0), other primaries, sRGB."""
    image = unpaletted(image)
    if image.mode not in ("RGB", "RGBA", "L"):
        return image
    shares = np.arange(256, dtype=np.float32) / 255
    light = (shares**exponent if exponent else to_light(shares)).astype(np.float32)
    if matrix is None or image.mode == "L":
        table = encoded(light).tolist()
        whole = list(range(256))
        return image.point({"L": table, "RGB": table * 3, "RGBA": table * 3 + whole}[image.mode])
    pixels = np.array(image)
    turned = np.array(matrix, np.float32).T
    for top in range(0, len(pixels), ROWS):
        rows = pixels[top : top + ROWS]
        rows[..., :3] = encoded(light[rows[..., :3]] @ turned)
    return Image.fromarray(pixels)


def unpaletted(image: Image.Image) -> Image.Image:
    """A palette's colours as pixels."""
    if image.mode not in ("P", "PA", "LA"):
        return image
    info = image.info
    image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    image.info |= {name: info[name] for name in ("icc_profile", "gamma") if name in info}
    return image


def to_light(shares: Floats) -> Floats:
    """sRGB's curve (IEC 61966-2-1), shares of 1 to light."""
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def encoded(light: Floats) -> NDArray[np.uint8]:
    """Light to the numbers of sRGB; what it cannot show is cut off."""
    light = np.clip(light, 0, 1)
    shares = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    numbers: NDArray[np.uint8] = np.rint(shares * 255).astype(np.uint8)
    return numbers
