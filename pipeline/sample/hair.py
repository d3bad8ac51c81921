"""Paints hair and beards."""

from typing import Literal

import numpy as np

from pipeline.sample.canvas import (
    Colour,
    Mask,
    Points,
    both,
    ellipse,
    mirrored,
    mixed,
    smooth,
    stroke,
)
from pipeline.sample.face import DARK, LIGHT, Brush, Looks, head_outline
from pipeline.sample.headwear import beanie, scarf

Style = Literal["short", "swept", "long", "bob", "bun", "curly", "afro", "bald", "scarf", "beanie"]
Beard = Literal["", "stubble", "full", "moustache"]

# Outer edge and hairline of the hair in front, from the left temple over the top to the right.
CAPS: dict[str, tuple[Points, Points]] = {
    "short": (
        both([(0, -1.6), (0.8, -1.37), (1.1, -0.75), (1.03, -0.05)]),
        both([(0, -0.93), (0.76, -0.82), (0.93, -0.5), (0.95, -0.1)]),
    ),
    "swept": (
        [
            (-1.03, 0),
            (-1.15, -0.8),
            (-0.86, -1.5),
            (0.1, -1.84),
            (0.92, -1.52),
            (1.14, -0.8),
            (1.03, 0),
        ],
        [
            (-0.95, 0),
            (-0.93, -0.5),
            (-0.66, -0.98),
            (0.05, -0.98),
            (0.6, -0.74),
            (0.9, -0.45),
            (0.95, 0),
        ],
    ),
    "long": (
        both([(-0.1, -1.74), (0.75, -1.5), (1.25, -0.6), (1.32, 0.4), (1.41, 1.55), (1.05, 2.7)]),
        both([(-0.1, -1.2), (0.56, -0.88), (0.93, -0.25), (0.92, 0.6), (0.84, 1.5), (1.04, 2.67)]),
    ),
    "bob": (
        both([(0, -1.74), (0.82, -1.42), (1.26, -0.5), (1.28, 0.7), (0.98, 1.3)]),
        both([(0, -0.58), (0.66, -0.5), (0.92, -0.2), (0.9, 0.7), (0.72, 1.24)]),
    ),
    "bun": (
        both([(0, -1.52), (0.76, -1.32), (1.07, -0.72), (1.02, 0)]),
        both([(0, -1.08), (0.7, -0.92), (0.95, -0.5), (0.96, -0.05)]),
    ),
}


def paint_behind(brush: Brush, style: Style, looks: Looks, wear: Colour) -> None:
    """What lies behind neck and head."""
    dark = mixed(looks.hair, DARK, 0.42)
    match style:
        case "long":
            right = [
                (0.9, -1.3),
                (1.3, -0.5),
                (1.32, 0.6),
                (1.5, 1.6),
                (1.28, 2.5),
                (0.75, 2.75),
                (0.3, 2.3),
            ]
            outline = smooth([(0.0, -1.55), *right, *mirrored(right[::-1])])
            waves(brush, brush.shape(outline), dark, looks.hair)
        case "bob":
            right = [(0.9, -1.3), (1.27, -0.5), (1.3, 0.5), (1.22, 1.1), (0.8, 1.36)]
            brush.over(smooth([(0.0, -1.5), *right, *mirrored(right[::-1])]), dark)
        case "bun":
            ball = ellipse(0.06, -1.72, 0.5, 0.42)
            brush.over(ball, mixed(looks.hair, DARK, 0.2))
            inside = brush.shape(ball)
            brush.light(ellipse(-0.1, -1.88, 0.22, 0.1), 0.3, 0.08, inside)
            for turn in (0.2, 0.5, 0.8):
                ring = smooth(
                    [
                        (-0.4, -1.6 - turn * 0.3),
                        (0.06, -1.66 - turn * 0.4),
                        (0.5, -1.6 - turn * 0.3),
                    ]
                )
                brush.shadow(stroke(ring, [0.0, 0.03, 0.0]), 0.4, 0.01, inside)
        case "curly":
            curls(brush, looks, seed=1, reach=(1.18, 1.42), many=90, tone=0.42)
        case "afro":
            curls(brush, looks, seed=2, reach=(1.55, 1.62), many=150, tone=0.3)
        case "scarf":
            right = [(0.85, -1.4), (1.26, -0.6), (1.22, 0.6), (1.1, 1.5), (1.5, 2.3), (1.1, 2.8)]
            brush.over(
                smooth([(0.0, -1.66), *right, *mirrored(right[::-1])]), mixed(wear, DARK, 0.3)
            )


def paint_front(brush: Brush, style: Style, looks: Looks, wear: Colour) -> None:
    """What lies over the forehead."""
    match style:
        case "short" | "swept" | "long" | "bob" | "bun":
            cap(brush, *CAPS[style], looks, seed=len(style))
        case "curly":
            curls(brush, looks, seed=3, reach=(1.1, 1.34), many=70, tone=0.12, front=True)
        case "afro":
            curls(brush, looks, seed=4, reach=(1.3, 1.42), many=90, tone=0.1, front=True)
        case "scarf":
            scarf(brush, looks, wear)
        case "beanie":
            cap(brush, *CAPS["short"], looks, seed=5)
            beanie(brush, wear)
        case "bald":
            head = brush.shape(head_outline(looks))
            brush.light(ellipse(-0.3, -1.05, 0.28, 0.14), 0.5, 0.1, head)


def cap(brush: Brush, outer: Points, hairline: Points, looks: Looks, seed: int) -> None:
    """Hair between its outer edge and the hairline, with strands and a shine."""
    outside, inside = smooth(outer, closed=False), smooth(hairline, closed=False)
    brush.shadow(
        stroke([(x, y + 0.05) for x, y in inside], [0.1, 0.16, 0.1]),
        0.6,
        0.05,
        brush.shape(head_outline(looks)),
    )
    hair = brush.shape([*outside, *inside[::-1]], soft=0.012)
    brush.canvas.paint(hair, looks.hair)
    right = [(0.35, -1.8), (1.3, -1.5), (1.35, 0.5), (0.8, 0.5), (0.85, -0.6)]
    brush.shadow(smooth(right), 0.5, 0.2, hair, (120, 105, 120))
    rng = np.random.default_rng(seed)
    far, near = np.array(outside), np.array(inside)
    for share in rng.uniform(0.03, 0.97, 46):
        first, last = sorted(int(edge) for edge in rng.uniform(0, len(far), 2))
        if last - first > 6:
            strand = (far + (near - far) * share)[first:last]
            tone = mixed(looks.hair, *((LIGHT, 0.3) if rng.random() < 0.45 else (DARK, 0.45)))
            brush.canvas.paint(
                brush.shape(stroke(strand.tolist(), [0.0, 0.022, 0.0]), soft=0.006).within(hair),
                tone,
                0.5,
            )
    shine = (far + (near - far) * 0.42)[len(far) // 6 : len(far) // 2]
    brush.light(stroke(shine.tolist(), [0.02, 0.17, 0.02]), 0.32, 0.06, hair)


def waves(brush: Brush, hair: Mask, dark: Colour, colour: Colour) -> None:
    """Hair that falls on the shoulders."""
    brush.canvas.paint(hair, mixed(dark, colour, 0.3))
    rng = np.random.default_rng(7)
    for number in range(44):
        x = (-1.0 if number % 2 else 1.0) * float(rng.uniform(0.75, 1.4))
        bend = float(rng.uniform(-0.06, 0.06))
        path = smooth(
            [(x * 0.9, -0.7), (x, 0.5), (x * 1.05 + bend, 1.5), (x * 0.85, 2.6)], closed=False
        )
        tone = mixed(colour, *((LIGHT, 0.22) if rng.random() < 0.5 else (DARK, 0.5)))
        brush.canvas.paint(
            brush.shape(stroke(path, [0, 0.04, 0.03, 0]), soft=0.01).within(hair), tone, 0.55
        )


def curls(
    brush: Brush,
    looks: Looks,
    seed: int,
    reach: tuple[float, float],
    many: int,
    tone: float,
    front: bool = False,
) -> None:
    """Locks around the skull; in front they leave the face free."""
    rng = np.random.default_rng(seed)
    across, down = reach
    body = mixed(looks.hair, DARK, tone)
    if front:
        band = [
            *smooth(
                [(-1.0, -0.1), (-across, -0.8), (0, -down - 0.2), (across, -0.8), (1.0, -0.1)],
                closed=False,
            ),
            *smooth(
                [(0.92, -0.2), (0.66, -0.84), (0, -0.98), (-0.66, -0.84), (-0.92, -0.2)],
                closed=False,
            ),
        ]
        head = brush.shape(head_outline(looks))
        brush.shadow([(x, y + 0.1) for x, y in band], 0.6, 0.06, head)
        brush.over(band, body, 1.0, 0.02)
    else:
        brush.over(ellipse(0, -0.32, across * 0.97, down * 0.97), body, 1.0, 0.02)
    for _ in range(many):
        turn = rng.uniform(-np.pi * (1.0 if front else 1.18), np.pi * (0.0 if front else 0.18))
        depth = rng.uniform(0.82, 1.0)
        x = float(across * depth * np.cos(turn))
        y = float(
            -0.32 + (down * depth) * np.sin(turn)
            if not front
            else -0.3 + down * depth * np.sin(turn) * 0.92
        )
        size = float(rng.uniform(0.1, 0.17))
        colour = mixed(body, LIGHT, max(0.0, 0.16 * float(rng.random()) - 0.1 * x))
        brush.over(ellipse(x, y, size, size, 28), colour, 0.9, 0.012)
        arc = ellipse(x, y, size * 0.62, size * 0.62, 24)[12:22]
        brush.over(stroke(arc, [0, 0.035, 0]), mixed(colour, LIGHT, 0.25), 0.5, 0.01)
        low = ellipse(x, y, size * 0.8, size * 0.8, 24)[1:10]
        brush.over(stroke(low, [0, 0.04, 0]), mixed(colour, DARK, 0.6), 0.5, 0.012)


def paint_beard(brush: Brush, beard: Beard, looks: Looks) -> None:
    """Hair on the lower face; the lips stay free."""
    if not beard:
        return
    k = looks.length
    y = 0.9 * (0.4 + 0.6 * k)
    head = brush.shape(head_outline(looks, 1.03 if beard == "full" else 1.0))
    lip = smooth(
        [
            (-0.4, y - 0.03),
            (-0.2, y - 0.2),
            (0, y - 0.16),
            (0.2, y - 0.2),
            (0.4, y - 0.03),
            (0.2, y - 0.09),
            (0, y - 0.085),
            (-0.2, y - 0.09),
        ]
    )
    tone = mixed(looks.hair, DARK, 0.25)
    if beard == "moustache":
        brush.over(lip, tone, 0.92, 0.022)
        return
    outer = [(-1.1, 0.1), (-1.1, 1.0), (-0.5, 1.7 * k), (0.5, 1.7 * k), (1.1, 1.0), (1.1, 0.1)]
    cheek = smooth(
        both([(0, y - 0.17), (0.3, y - 0.2), (0.5, 0.84), (0.78, 0.6), (0.9, 0.2)])[::-1],
        closed=False,
    )
    free = ellipse(0, y + 0.05, 0.36, 0.12)
    jaw = brush.shape([*outer, *cheek], free, soft=0.05).within(head)
    brush.canvas.paint(jaw, tone, 0.9 if beard == "full" else 0.3)
    if beard == "full":
        rng = np.random.default_rng(11)
        for x, low in zip(rng.uniform(-0.9, 0.9, 130), rng.uniform(0.5, 1.4, 130), strict=True):
            hair = [(float(x), float(low)), (float(x) * 1.04, float(low) + 0.16)]
            shade = mixed(tone, *((LIGHT, 0.2) if x < 0 else (DARK, 0.2)))
            brush.canvas.paint(
                brush.shape(stroke(hair, [0.018, 0.0]), soft=0.004).within(jaw), shade, 0.6
            )
