"""Paints a head: skin, ears, eyes, brows, nose, mouth. One unit is half the head's width."""

from dataclasses import dataclass

import numpy as np

from pipeline.sample.canvas import (
    Canvas,
    Colour,
    Mask,
    Place,
    Points,
    ellipse,
    mirrored,
    mixed,
    smooth,
    stroke,
)

DARK: Colour = (38, 24, 24)
LIGHT: Colour = (255, 244, 226)
SHADE: Colour = (176, 122, 116)  # what a shadow leaves of the light on skin


@dataclass(frozen=True)
class Looks:
    """What tells one face from another."""

    skin: Colour
    hair: Colour
    iris: Colour
    lips: Colour
    jaw: float = 1.0  # width of the lower face
    length: float = 1.0  # height of the face
    smile: float = 0.5  # 0 serious, 1 broad
    brows: float = 1.0  # thickness
    age: float = 0.0  # 0 smooth, 1 lined
    freckles: bool = False


@dataclass(frozen=True)
class Brush:
    """Paints in a figure's own units."""

    canvas: Canvas
    place: Place

    def shape(self, *outlines: Points, soft: float = 0.0) -> Mask:
        placed = [self.place.pixels(points) for points in outlines]
        return self.canvas.shape(placed, soft * self.place.unit)

    def over(self, points: Points, colour: Colour, alpha: float = 1.0, soft: float = 0.0) -> None:
        self.canvas.paint(self.shape(points, soft=soft), colour, alpha)

    def shadow(
        self, points: Points, alpha: float, soft: float, within: Mask, tint: Colour = SHADE
    ) -> None:
        mask = self.shape(points, soft=soft).within(within)
        self.canvas.paint(mask, tint, alpha, "multiply")

    def light(self, points: Points, alpha: float, soft: float, within: Mask) -> None:
        self.canvas.paint(self.shape(points, soft=soft).within(within), LIGHT, alpha, "screen")


def head_outline(looks: Looks, grow: float = 1.0) -> list[tuple[float, float]]:
    """The skull and jaw, eyes at y = 0."""
    j, k = looks.jaw, looks.length
    right = [(0.56, -1.27), (0.9, -0.86), (1.0, -0.3), (0.975, 0.2)]
    right += [(0.9 * (0.5 + j / 2), 0.6 * k), (0.69 * j, 1.0 * k), (0.36 * j, 1.27 * k)]
    points = [(0.0, -1.4), *right, (0.0, 1.36 * k), *mirrored(right[::-1])]
    return smooth([(x * grow, y * grow) for x, y in points])


def paint_head(brush: Brush, looks: Looks) -> None:
    """Everything from ear to ear, without hair."""
    ears(brush, looks)
    outline = head_outline(looks)
    head = brush.shape(outline)
    brush.canvas.paint(head, looks.skin)
    shade_skin(brush, looks, head)
    for side in (-1, 1):
        eye(brush, looks, side, head)
    nose(brush, looks, head)
    mouth(brush, looks, head)
    if looks.age > 0.3:
        lines(brush, looks, head)


def ears(brush: Brush, looks: Looks) -> None:
    for side in (-1, 1):
        outline = smooth(
            [
                (side * x, y)
                for x, y in [(0.93, -0.2), (1.1, -0.26), (1.15, 0.0), (1.06, 0.34), (0.92, 0.42)]
            ]
        )
        ear = brush.shape(outline)
        brush.canvas.paint(ear, mixed(looks.skin, looks.lips, 0.12))
        brush.shadow(ellipse(side * 1.03, 0.02, 0.05, 0.2), 0.6, 0.035, ear)
        if side > 0:
            brush.shadow(outline, 0.4, 0.0, ear)


def shade_skin(brush: Brush, looks: Looks, head: Mask) -> None:
    """The light comes from the upper left."""
    k = looks.length
    right = smooth(
        [
            (0.72, -1.3),
            (1.25, -0.9),
            (1.3, 0.5),
            (0.9, 1.3 * k),
            (0.1, 1.6 * k),
            (0.52, 1.0 * k),
            (0.72, 0.45),
            (0.74, -0.3),
        ]
    )
    brush.shadow(right, 0.62, 0.17, head)
    left = smooth([(-0.95, -0.9), (-1.2, 0.2), (-0.75, 1.3 * k), (-0.86, 0.4), (-0.88, -0.3)])
    brush.shadow(left, 0.3, 0.1, head)
    brush.shadow(ellipse(0.0, 1.45 * k, 0.7, 0.22), 0.45, 0.12, head)
    brush.light(ellipse(-0.28, -0.72, 0.5, 0.3), 0.34, 0.2, head)
    for side, alpha in ((-1, 0.36), (1, 0.16)):
        brush.light(ellipse(side * 0.52, 0.32, 0.2, 0.12), alpha, 0.1, head)
        blush = brush.shape(ellipse(side * 0.58, 0.5, 0.22, 0.15), soft=0.11).within(head)
        brush.canvas.paint(blush, looks.lips, 0.3)
    brush.light(ellipse(-0.04, 1.12 * k, 0.16, 0.09), 0.24, 0.07, head)
    if looks.freckles:
        rng = np.random.default_rng(5)
        for x, y in zip(
            rng.normal(0, 0.36, 60).tolist(), rng.normal(0.3, 0.1, 60).tolist(), strict=True
        ):
            brush.shadow(ellipse(x, y, 0.011, 0.011, 12), 0.45, 0.004, head, (170, 105, 70))


def eye(brush: Brush, looks: Looks, side: int, head: Mask) -> None:
    """One eye and its brow; `side` is -1 on the left of the picture."""

    def at(points: Points) -> list[tuple[float, float]]:
        return [(side * x, y) for x, y in points]

    brush.shadow(at(ellipse(0.4, -0.09, 0.33, 0.17)), 0.75, 0.075, head)
    brush.shadow(at(ellipse(0.4, -0.02, 0.27, 0.14)), 0.55, 0.05, head)
    squint = 0.02 * looks.smile
    upper = smooth(
        [(0.17, 0.035), (0.27, -0.085), (0.42, -0.125), (0.56, -0.075), (0.655, 0.0)], closed=False
    )
    lower = smooth(
        [(0.655, 0.0), (0.54, 0.085 - squint), (0.4, 0.105 - squint), (0.27, 0.075)], closed=False
    )
    ball = brush.shape(at([*upper, *lower]))
    brush.canvas.paint(ball, (240, 234, 228))
    iris = brush.shape(at(ellipse(0.41, -0.012, 0.118, 0.122))).within(ball)
    brush.canvas.paint(iris, mixed(looks.iris, DARK, 0.55))
    ring = brush.shape(at(ellipse(0.41, -0.005, 0.096, 0.1)), soft=0.012).within(ball)
    brush.canvas.paint(ring, looks.iris)
    glow = brush.shape(at(ellipse(0.41, 0.045, 0.06, 0.04)), soft=0.02).within(ball)
    brush.canvas.paint(glow, LIGHT, 0.35, "screen")
    brush.canvas.paint(
        brush.shape(at(ellipse(0.41, -0.012, 0.052, 0.054))).within(ball), (14, 10, 12)
    )
    brush.shadow(at(stroke(upper, [0.06, 0.16, 0.06])), 0.7, 0.025, ball, (120, 90, 96))
    brush.over(ellipse(side * 0.41 - 0.035, -0.055, 0.03, 0.033, 24), (255, 255, 255), 0.95, 0.004)
    brush.over(ellipse(side * 0.41 + 0.035, 0.03, 0.014, 0.014, 24), (255, 255, 255), 0.6, 0.004)
    lash = [*upper, (0.7, -0.045)]
    brush.over(at(stroke(lash, [0.014, 0.045, 0.06, 0.05, 0.012])), DARK, 0.94, 0.003)
    brush.over(at(stroke(lower, [0.016, 0.014, 0.006])), mixed(looks.skin, DARK, 0.65), 0.7, 0.004)
    crease = [(x, y - 0.075 - 0.02 * (x > 0.3)) for x, y in upper]
    brush.over(
        at(stroke(crease, [0.004, 0.022, 0.02, 0.004])), mixed(looks.skin, DARK, 0.6), 0.6, 0.006
    )
    brow = smooth([(0.13, -0.27), (0.33, -0.355), (0.55, -0.37), (0.76, -0.255)], closed=False)
    hairs = mixed(looks.hair, DARK, 0.4)
    width = 0.105 * looks.brows
    brush.over(
        at(stroke(brow, [width * 0.8, width * 1.05, width * 0.8, 0.012])), hairs, 0.88, 0.012
    )


def nose(brush: Brush, looks: Looks, head: Mask) -> None:
    y = 0.56 * (0.6 + 0.4 * looks.length)
    bridge = smooth(
        [(0.06, -0.22), (0.19, -0.06), (0.11, 0.2), (0.2, y - 0.04), (0.08, y), (0.05, 0.2)]
    )
    brush.shadow(bridge, 0.62, 0.035, head)
    brush.shadow(mirrored(bridge), 0.2, 0.035, head)
    brush.light(
        stroke([(-0.02, -0.12), (-0.025, 0.2), (-0.03, y - 0.1)], [0.08, 0.07, 0.12]),
        0.4,
        0.03,
        head,
    )
    brush.light(ellipse(-0.04, y - 0.06, 0.065, 0.05), 0.42, 0.025, head)
    base = smooth(
        [
            (-0.22, y),
            (-0.1, y + 0.03),
            (0.0, y + 0.06),
            (0.1, y + 0.03),
            (0.23, y),
            (0.17, y + 0.1),
            (0.0, y + 0.13),
            (-0.15, y + 0.09),
        ]
    )
    brush.shadow(base, 0.7, 0.03, head)
    deep = mixed(looks.skin, DARK, 0.74)
    for side in (-1, 1):
        wing = [(side * 0.19, y - 0.12), (side * 0.235, y - 0.03), (side * 0.2, y + 0.035)]
        brush.over(stroke(smooth(wing, closed=False), [0.004, 0.024, 0.006]), deep, 0.55, 0.01)
        brush.over(ellipse(side * 0.1, y + 0.035, 0.058, 0.024), deep, 0.8, 0.01)


def mouth(brush: Brush, looks: Looks, head: Mask) -> None:
    k, smile = looks.length, looks.smile
    y = 0.9 * (0.4 + 0.6 * k)
    wide, lift = 0.35 + 0.1 * smile, 0.15 * smile - 0.02
    corners = [(-wide, y - lift), (wide, y - lift)]
    line = smooth(
        [corners[0], (-0.17, y + 0.005), (0, y + 0.02), (0.17, y + 0.005), corners[1]], closed=False
    )
    upper = smooth(
        [
            corners[1],
            (0.2, y - 0.075),
            (0.07, y - 0.105),
            (0, y - 0.08),
            (-0.07, y - 0.105),
            (-0.2, y - 0.075),
            corners[0],
        ],
        closed=False,
    )
    drop = 0.135 + 0.05 * max(0.0, smile - 0.5)
    lower = smooth(
        [corners[1], (0.23, y + 0.09), (0, y + drop), (-0.23, y + 0.09), corners[0]], closed=False
    )
    brush.shadow(ellipse(0, y + drop + 0.07, 0.24, 0.05), 0.55, 0.04, head)
    brush.over([*line, *lower], mixed(looks.lips, LIGHT, 0.1), 0.95, 0.006)
    brush.over([*line, *upper], mixed(looks.lips, DARK, 0.16), 0.95, 0.006)
    lips = brush.shape([*upper, *lower[::-1]])
    brush.light(ellipse(-0.05, y + 0.085, 0.13, 0.022), 0.45, 0.018, lips)
    if smile > 0.7:
        inside = [
            *line,
            *smooth(
                [corners[1], (0.2, y + 0.055), (0, y + 0.085), (-0.2, y + 0.055), corners[0]],
                closed=False,
            ),
        ]
        brush.over(inside, (244, 240, 234), 1.0, 0.004)
        brush.shadow(
            stroke(line, [0.01, 0.05, 0.01]), 0.5, 0.012, brush.shape(inside), (120, 80, 84)
        )
        edge = inside[len(line) :]
        brush.over(stroke(edge, [0.006, 0.014, 0.006]), mixed(looks.lips, DARK, 0.55), 0.8, 0.004)
    brush.over(
        stroke(line, [0.012, 0.024, 0.03, 0.024, 0.012]), mixed(looks.lips, DARK, 0.68), 0.9, 0.005
    )
    for side, (x, corner) in zip((-1, 1), corners, strict=True):
        brush.shadow(ellipse(x + side * 0.03, corner, 0.035, 0.035), 0.55, 0.025, head)


def lines(brush: Brush, looks: Looks, head: Mask) -> None:
    """What the years leave."""
    y = 0.9 * looks.length
    for side in (-1, 1):
        fold = smooth([(side * 0.24, 0.56), (side * 0.42, 0.72), (side * 0.52, y)], closed=False)
        brush.shadow(stroke(fold, [0.01, 0.04, 0.01]), 0.75 * looks.age, 0.018, head)
        for turn in (-0.05, 0.03):
            foot = [(side * 0.72, 0.0 + turn), (side * 0.84, turn * 2.4)]
            brush.shadow(stroke(foot, [0.02, 0.008]), 0.6 * looks.age, 0.008, head)
    for height in (-0.62, -0.74):
        brow = smooth([(-0.4, height + 0.03), (0, height), (0.4, height + 0.03)], closed=False)
        brush.shadow(stroke(brow, [0.006, 0.024, 0.006]), 0.5 * looks.age, 0.012, head)
