"""Paints a person who does not exist, from the shoulders up."""

from dataclasses import dataclass

import numpy as np

from pipeline.sample.canvas import Canvas, Colour, Place, ellipse, mirrored, mixed, smooth, stroke
from pipeline.sample.face import DARK, LIGHT, Brush, Looks, head_outline, paint_head
from pipeline.sample.hair import Beard, Style, paint_beard, paint_behind, paint_front
from pipeline.sample.headwear import glasses

SKINS: tuple[tuple[Colour, Colour], ...] = (  # skin, lips
    ((240, 204, 178), (206, 112, 110)),
    ((231, 184, 154), (190, 95, 90)),
    ((216, 166, 128), (180, 92, 84)),
    ((196, 142, 104), (164, 84, 76)),
    ((166, 114, 80), (140, 70, 64)),
    ((132, 88, 62), (122, 60, 58)),
    ((104, 68, 50), (104, 50, 52)),
)
HAIRS: dict[str, Colour] = {
    "black": (34, 30, 34),
    "brown": (74, 48, 34),
    "chestnut": (112, 66, 40),
    "copper": (166, 84, 42),
    "blond": (208, 164, 98),
    "grey": (164, 160, 158),
    "white": (222, 218, 212),
    "teal": (52, 122, 128),
}
IRISES: tuple[Colour, ...] = ((96, 132, 150), (104, 128, 88), (116, 76, 44), (84, 54, 36))
WEARS: tuple[Colour, ...] = (
    (44, 62, 92), (196, 84, 68), (52, 104, 96), (222, 196, 148), (92, 62, 100), (228, 226, 220),
    (64, 68, 74), (206, 148, 60), (128, 152, 176), (150, 60, 76),
)  # fmt: skip


FOLD: Colour = (134, 126, 152)  # what a shadow leaves of the light on cloth


@dataclass(frozen=True)
class Person:
    """Everything that tells one person from another."""

    looks: Looks
    style: Style
    beard: Beard
    wear: Colour
    collar: str  # round, v, shirt or high
    glasses: bool = False
    earrings: bool = False


def invent(
    rng: np.random.Generator,
    skin: int,
    hair: str,
    style: Style,
    beard: Beard = "",
    age: float = 0.0,
) -> Person:
    """Someone with the given features; the others are chosen by chance."""
    tone, lips = SKINS[skin]
    jitter = rng.uniform(-5, 5, 3)
    red, green, blue = (float(value + shift) for value, shift in zip(tone, jitter, strict=True))
    dark_eyes = skin > 2 or hair == "black"
    looks = Looks(
        skin=(red, green, blue),
        hair=HAIRS[hair],
        iris=IRISES[int(rng.integers(2, 4) if dark_eyes else rng.integers(0, 3))],
        lips=lips,
        jaw=float(rng.uniform(1.0, 1.1) if beard else rng.uniform(0.88, 1.02)),
        length=float(rng.uniform(1.0, 1.1)),
        smile=float(rng.choice([0.45, 0.6, 0.68, 0.85, 0.95])),
        brows=float(rng.uniform(1.0, 1.25) if beard else rng.uniform(0.72, 1.0)),
        age=age,
        freckles=bool(skin < 2 and not beard and rng.random() < 0.4),
    )
    collar = "high" if style == "scarf" else str(rng.choice(["round", "v", "shirt", "high"]))
    jewels = style in ("bun", "afro") and not beard
    wear = WEARS[int(rng.integers(len(WEARS)))]
    return Person(looks, style, beard, wear, collar, bool(rng.random() < 0.2), jewels)


def paint_person(canvas: Canvas, person: Person, place: Place) -> None:
    """Paint from back to front; `place` is the point between the eyes and half a head's width."""
    upright = Brush(canvas, Place(place.x, place.y, place.unit))
    head = Brush(canvas, place)
    looks = person.looks
    paint_behind(head, person.style, looks, person.wear)
    body(upright, person)
    paint_head(head, looks)
    paint_beard(head, person.beard, looks)
    paint_front(head, person.style, looks, mixed(person.wear, LIGHT, 0.12))
    if person.glasses:
        glasses(head)
    if person.earrings:
        for side in (-1, 1):
            head.over(ellipse(side * 1.06, 0.55, 0.06, 0.06, 30), (226, 186, 92), 1.0, 0.006)
            head.over(ellipse(side * 1.06 - 0.02, 0.53, 0.018, 0.018, 20), LIGHT, 0.9, 0.006)


def body(brush: Brush, person: Person) -> None:
    """Shoulders, clothes and neck, with the shadow of the head on them."""
    wear = person.wear
    right = [
        (0.45, 1.4),
        (0.78, 1.78),
        (1.35, 2.0),
        (1.9, 2.25),
        (2.24, 2.75),
        (2.42, 3.6),
        (2.6, 6.0),
        (2.7, 12.0),
    ]
    outline = smooth([(-x, y) for x, y in right[::-1]] + right, closed=False)
    clothes = brush.shape(outline)
    brush.canvas.paint(clothes, wear)
    brush.shadow(
        smooth([(0.9, 1.6), (2.8, 2.0), (3.0, 9.0), (1.2, 9.0), (1.5, 3.2)]),
        0.6,
        0.4,
        clothes,
        FOLD,
    )
    brush.light(ellipse(-1.3, 2.45, 0.6, 0.28), 0.22, 0.2, clothes)
    for side in (-1, 1):
        fold = smooth([(side * 1.5, 3.0), (side * 1.42, 3.8), (side * 1.6, 5.0)], closed=False)
        brush.shadow(stroke(fold, [0.02, 0.14, 0.05]), 0.45, 0.06, clothes, FOLD)
        seam = smooth([(side * 1.75, 2.22), (side * 1.6, 2.8), (side * 1.66, 3.4)], closed=False)
        brush.shadow(stroke(seam, [0.0, 0.05, 0.01]), 0.4, 0.02, clothes, FOLD)
    neck(brush, person)
    rim = mixed(wear, DARK, 0.28)
    match person.collar:
        case "round":
            line = smooth(
                [(-0.68, 1.66), (-0.5, 2.0), (0, 2.2), (0.5, 2.0), (0.68, 1.66)], closed=False
            )
            brush.over(stroke(line, [0.1, 0.12, 0.1]), rim, 0.9, 0.006)
        case "v":
            for side in (-1, 1):
                line = smooth([(side * 0.68, 1.64), (side * 0.42, 2.2), (0, 2.86)], closed=False)
                brush.over(stroke(line, [0.1, 0.13, 0.1]), rim, 0.9, 0.006)
        case "shirt":
            shirt_collar(brush, mixed(wear, LIGHT, 0.16))
        case _:
            high = brush.shape(
                smooth([(-0.64, 1.5), (0, 1.68), (0.64, 1.5), (0.8, 2.05), (0, 2.3), (-0.8, 2.05)])
            )
            brush.canvas.paint(high, mixed(wear, LIGHT, 0.07))
            brush.shadow(
                smooth([(0.2, 1.4), (0.9, 1.4), (0.9, 2.3), (0.3, 2.4)]), 0.6, 0.12, high, FOLD
            )
            for y in (1.78, 1.98):
                fold = smooth([(-0.7, y - 0.1), (0, y + 0.1), (0.7, y - 0.1)], closed=False)
                brush.shadow(stroke(fold, [0.02, 0.06, 0.02]), 0.5, 0.02, high, FOLD)
    chin = [(x * 0.95 + 0.08, y + 0.42) for x, y in head_outline(person.looks)]
    brush.shadow(chin, 0.3, 0.12, clothes, FOLD)


def neck(brush: Brush, person: Person) -> None:
    """The neck, down to the neckline."""
    looks = person.looks
    low = {"round": 2.16, "v": 2.8, "shirt": 2.5}.get(person.collar, 2.0)
    wide = 0.66 if person.collar != "shirt" else 0.56
    bulge = 0.5 if person.collar == "v" else 0.68  # 0.5 is a straight line
    half = [(0.56, 0.7), (0.55, 1.3), (wide, 1.62), (wide * bulge, 1.62 + (low - 1.62) * bulge)]
    side = smooth([*half, (0.0, low)], closed=False)
    skin = brush.shape([*side, *mirrored(side[::-1])])
    brush.canvas.paint(skin, mixed(looks.skin, looks.lips, 0.06))
    brush.shadow(smooth([(0.25, 0.8), (0.9, 0.8), (0.9, 2.0), (0.35, 2.0)]), 0.5, 0.12, skin)
    chin = [(x * 0.8 + 0.06, y + 0.3) for x, y in head_outline(looks)]
    brush.shadow(chin, 0.85, 0.07, skin)
    bone = smooth([(0.5, 1.86), (0.24, 1.98), (0.08, 2.06)], closed=False)
    for collarbone in (bone, mirrored(bone)):
        brush.shadow(stroke(collarbone, [0.0, 0.06, 0.02]), 0.4, 0.02, skin)


def shirt_collar(brush: Brush, colour: Colour) -> None:
    placket = [(-0.05, 2.45), (0.07, 2.45), (0.1, 9.0), (-0.05, 9.0)]
    brush.over(placket, mixed(colour, DARK, 0.16), 0.6, 0.01)
    for side in (-1, 1):
        flap = [
            (side * 0.56, 1.5),
            (side * 0.68, 1.5),
            (side * 0.86, 1.94),
            (side * 0.46, 2.62),
            (0, 2.4),
            (side * 0.4, 2.0),
        ]
        leaf = brush.shape(flap)
        brush.shadow(
            [(x, y + 0.07) for x, y in flap],
            0.5,
            0.05,
            brush.shape([(-3, 1), (3, 1), (3, 5), (-3, 5)]),
        )
        brush.canvas.paint(leaf, colour if side < 0 else mixed(colour, DARK, 0.14))
    for y in (2.95, 3.6):
        brush.over(ellipse(0.02, y, 0.04, 0.04, 24), mixed(colour, DARK, 0.5), 0.9, 0.006)
