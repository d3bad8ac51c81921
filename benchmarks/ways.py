"""The ways in which people's collections hold one picture twice: an image in, its copy out."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

Chance = np.random.Generator
Way = Callable[[Image.Image, Chance], Image.Image]

# Linear Display P3 of linear sRGB: rounded, rows sum to 1.
P3 = np.array([[0.8225, 0.1774, 0.0], [0.0332, 0.9669, 0.0], [0.0171, 0.0724, 0.9108]])


def as_jpeg(image: Image.Image, quality: int) -> bytes:
    """A file as most programs write it: colour at half the size (4:2:0)."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return file.getvalue()


def encoded(low: int, high: int) -> Way:
    def way(image: Image.Image, chance: Chance) -> Image.Image:
        data = as_jpeg(image, int(chance.integers(low, high + 1)))
        return Image.open(io.BytesIO(data)).convert("RGB")

    return way


def resized(low: float, high: float) -> Way:
    def way(image: Image.Image, chance: Chance) -> Image.Image:
        factor = float(np.exp(chance.uniform(np.log(low), np.log(high))))
        filters = [Image.Resampling.BICUBIC, Image.Resampling.BILINEAR, Image.Resampling.LANCZOS]
        size = [max(round(factor * side), 16) for side in image.size]
        return image.resize((size[0], size[1]), filters[chance.integers(3)])

    return way


def cut_anew(low: float, high: float) -> Way:
    """So much of the width and of the height goes, shared by chance between both sides."""

    def way(image: Image.Image, chance: Chance) -> Image.Image:
        width, height = image.size
        gone = chance.uniform(low, high, 2) * (width, height)
        left, top = chance.uniform(0, 1, 2) * gone
        box = left, top, width - gone[0] + left, height - gone[1] + top
        return image.crop(tuple(round(edge) for edge in box))

    return way


def burst(image: Image.Image, chance: Chance) -> Image.Image:
    """The same moment a breath later: a shift of up to 1 %, a touch of zoom, grain anew."""
    width, height = image.size
    zoom, (x, y) = chance.uniform(0.99, 1.0), chance.uniform(0, 0.01, 2)
    data = (zoom, 0, x * width, 0, zoom, y * height)
    moved = image.transform(image.size, Image.Transform.AFFINE, data, Image.Resampling.BICUBIC)
    kept = moved.crop((0, 0, round(0.98 * width), round(0.98 * height)))
    grain = chance.normal(0, 3, np.asarray(kept).shape)
    return as_image(np.asarray(kept) + grain)


def enhanced(kind: type[ImageEnhance._Enhance], low: float, high: float) -> Way:
    return lambda image, chance: kind(image).enhance(chance.uniform(low, high))


def gamma(image: Image.Image, chance: Chance) -> Image.Image:
    power = float(np.exp(chance.uniform(np.log(0.7), np.log(1.45))))
    return as_image(255 * (np.asarray(image) / 255) ** power)


def grey(image: Image.Image, chance: Chance) -> Image.Image:
    return ImageOps.grayscale(image).convert("RGB")


def sepia(image: Image.Image, chance: Chance) -> Image.Image:
    return ImageOps.colorize(ImageOps.grayscale(image), "#1c0f05", "#fff1d6", mid="#a07850")


def white_balance(image: Image.Image, chance: Chance) -> Image.Image:
    warmth = chance.uniform(-0.18, 0.18)
    return as_image(np.asarray(image) * np.array([1 + warmth, 1, 1 - warmth]))


def p3_without_profile(image: Image.Image, chance: Chance) -> Image.Image:
    """The numbers of Display P3, taken for sRGB: paler."""
    levels = np.asarray(image) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    wide = (linear @ P3.T).clip(0, 1)
    shown = np.where(wide <= 0.0031308, 12.92 * wide, 1.055 * wide ** (1 / 2.4) - 0.055)
    return as_image(255 * shown)


def border(image: Image.Image, chance: Chance) -> Image.Image:
    wide = round(chance.uniform(0.02, 0.08) * max(image.size))
    return ImageOps.expand(image, wide, ("white", "black", "#d8d0c0")[chance.integers(3)])


def letterbox(image: Image.Image, chance: Chance) -> Image.Image:
    """Bars above and below, or left and right."""
    wide = round(chance.uniform(0.08, 0.25) * max(image.size))
    bars = (wide, 0) if chance.integers(2) else (0, wide)
    return ImageOps.expand(image, bars, ("black", "white")[chance.integers(2)])


def watermark(image: Image.Image, chance: Chance) -> Image.Image:
    """A name in one corner, as photographers put it there."""
    size = max(round(0.035 * max(image.size)), 8)
    side = chance.integers(2)
    place = (0.03 if side else 0.6) * image.width, (0.05, 0.92)[chance.integers(2)] * image.height
    return written(image, place, size, "(c) studio 2024", int(chance.integers(120, 230)))


def caption(image: Image.Image, chance: Chance) -> Image.Image:
    """A line of text on a bar over the lower edge."""
    made = image.copy()
    high = round(chance.uniform(0.06, 0.1) * image.height)
    ImageDraw.Draw(made).rectangle((0, image.height - high, *image.size), fill="#202020")
    place = 0.05 * image.width, image.height - 0.8 * high
    return written(made, place, max(round(0.6 * high), 8), "Somebody's name, of some place", 255)


def written(
    image: Image.Image, place: tuple[float, float], size: int, words: str, alpha: int
) -> Image.Image:
    made = image.convert("RGBA")
    layer = Image.new("RGBA", image.size, (255, 255, 255, 0))
    ImageDraw.Draw(layer).text(place, words, (255, 255, 255, alpha), font_size=size)
    return Image.alpha_composite(made, layer).convert("RGB")


def sharpened(image: Image.Image, chance: Chance) -> Image.Image:
    return image.filter(ImageFilter.UnsharpMask(2, int(chance.integers(60, 200)), 2))


def blurred(image: Image.Image, chance: Chance) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(chance.uniform(0.001, 0.004) * max(image.size)))


def straightened(image: Image.Image, chance: Chance) -> Image.Image:
    """Turned by 1 to 3 degrees, and cut so that no corner is empty."""
    degrees = chance.uniform(1, 3) * (1, -1)[chance.integers(2)]
    turned = image.rotate(degrees, Image.Resampling.BICUBIC)
    gone = np.tan(np.radians(abs(degrees))) / 2
    across, down = gone * image.height, gone * image.width
    return turned.crop(tuple(map(round, (across, down, image.width - across, image.height - down))))


def by_messenger(image: Image.Image, chance: Chance) -> Image.Image:
    """Smaller, cut a little, a filter over it, and encoded twice."""
    for way in (
        cut_anew(0.02, 0.05),
        enhanced(ImageEnhance.Contrast, 0.9, 1.2),
        enhanced(ImageEnhance.Color, 0.7, 1.3),
        resized(0.4, 0.9),
        encoded(50, 75),
    ):
        image = way(image, chance)
    return image


def mirrored(image: Image.Image, chance: Chance) -> Image.Image:
    return ImageOps.mirror(image)


def as_image(pixels: np.ndarray) -> Image.Image:  # type: ignore[type-arg]
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


WAYS: dict[str, Way] = {
    "JPEG of quality 60 to 95": encoded(60, 95),
    "JPEG of quality 30 to 60": encoded(30, 60),
    "scaled by 0.25 to 0.5": resized(0.25, 0.5),
    "scaled by 0.5 to 2": resized(0.5, 2),
    "cut anew by 2 to 6 %": cut_anew(0.02, 0.06),
    "cut anew by 6 to 12 %": cut_anew(0.06, 0.12),
    "burst, 1 % off": burst,
    "brightness": enhanced(ImageEnhance.Brightness, 0.7, 1.35),
    "contrast": enhanced(ImageEnhance.Contrast, 0.7, 1.4),
    "gamma": gamma,
    "grey": grey,
    "sepia": sepia,
    "white balance": white_balance,
    "P3 without its profile": p3_without_profile,
    "border": border,
    "letterbox": letterbox,
    "watermark": watermark,
    "caption": caption,
    "sharpened": sharpened,
    "blurred a little": blurred,
    "straightened by 1 to 3 degrees": straightened,
    "by messenger: all a little": by_messenger,
}
APART = {"mirrored": mirrored}  # no copy: every pixel is elsewhere, and training may mirror itself
