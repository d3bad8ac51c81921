"""Paints what is behind people, and scenes without any."""

from collections.abc import Callable
from math import cos, sin

import numpy as np

from pipeline.sample.canvas import Canvas, Colour, Place, ellipse, mixed, smooth
from pipeline.sample.face import DARK, LIGHT, Brush

Rng = np.random.Generator
WALLS: tuple[tuple[Colour, Colour], ...] = (  # light and deep tone
    ((214, 220, 222), (120, 138, 150)),
    ((236, 214, 190), (178, 128, 104)),
    ((198, 214, 200), (92, 122, 110)),
    ((226, 204, 212), (142, 100, 120)),
    ((206, 212, 232), (94, 104, 148)),
    ((244, 226, 176), (206, 152, 84)),
    ((150, 176, 184), (38, 66, 82)),
)


def whole(canvas: Canvas) -> Brush:
    """Paints in shares of the canvas' width, from its upper left corner."""
    return Brush(canvas, Place(0, 0, canvas.width))


def studio(canvas: Canvas, rng: Rng) -> None:
    """A lit paper wall."""
    light, deep = WALLS[int(rng.integers(len(WALLS)))]
    canvas.gradient(mixed(light, deep, 0.35), deep, float(rng.uniform(-0.3, 0.3)))
    brush = whole(canvas)
    tall = canvas.height / canvas.width
    brush.over(ellipse(0.45, 0.42 * tall, 0.42, 0.42), light, 0.85, 0.16)


def disc(canvas: Canvas, rng: Rng) -> None:
    """A plain wall with a round of another colour."""
    light, deep = WALLS[int(rng.integers(len(WALLS)))]
    other = WALLS[int(rng.integers(len(WALLS)))][1]
    canvas.gradient(light, mixed(light, deep, 0.4), 0.2)
    brush = whole(canvas)
    tall = canvas.height / canvas.width
    reach = 0.41 * min(1.0, tall)
    round_ = ellipse(0.5, 0.43 * tall, reach, reach, 160)
    brush.over([(x + 0.012, y + 0.02) for x, y in round_], DARK, 0.25, 0.02)
    brush.over(round_, mixed(other, light, 0.25))
    brush.light(ellipse(0.34, 0.3 * tall, 0.22, 0.22), 0.35, 0.1, brush.shape(round_))


def bokeh(canvas: Canvas, rng: Rng) -> None:
    """An evening with lights out of focus."""
    light, deep = WALLS[int(rng.integers(len(WALLS)))]
    canvas.gradient(mixed(deep, DARK, 0.45), mixed(deep, DARK, 0.72), 0.3)
    brush = whole(canvas)
    tall = canvas.height / canvas.width
    warm: Colour = (255, 206, 138)
    for _ in range(34):
        x, y = float(rng.uniform(0, 1)), float(rng.uniform(0, 0.85)) * tall
        size = float(rng.uniform(0.025, 0.08))
        glow = brush.shape(ellipse(x, y, size, size, 48), soft=0.004)
        canvas.paint(
            glow, mixed(warm, light, float(rng.random())), float(rng.uniform(0.08, 0.38)), "screen"
        )


def meadow(canvas: Canvas, rng: Rng) -> None:
    """Sky and hills, out of focus."""
    day = float(rng.random())
    canvas.gradient(
        mixed((126, 178, 222), (238, 164, 120), day), mixed((226, 238, 244), (250, 226, 190), day)
    )
    brush = whole(canvas)
    tall = canvas.height / canvas.width
    sun = 0.16 + 0.68 * float(rng.integers(2))
    brush.over(ellipse(sun, 0.18 * tall, 0.08, 0.08), LIGHT, 0.8, 0.03)
    for number in range(4):
        y = tall * (0.46 + 0.12 * number)
        rise = rng.uniform(-0.09, 0.09, 6)
        ridge = [(-0.2 + 0.28 * step, y + float(shift)) for step, shift in enumerate(rise)]
        green = mixed(mixed((150, 178, 150), (178, 150, 130), day), (62, 92, 62), number / 3)
        hill = [*smooth(ridge, closed=False), (1.3, tall * 1.1), (-0.3, tall * 1.1)]
        brush.over(hill, green, 1.0, 0.016 - 0.003 * number)


def stripes(canvas: Canvas, rng: Rng) -> None:
    """A wall with the light of a window on it."""
    light, deep = WALLS[int(rng.integers(len(WALLS)))]
    canvas.gradient(mixed(light, deep, 0.55), mixed(light, deep, 0.95), 0.4)
    brush = whole(canvas)
    tall = canvas.height / canvas.width
    lean = float(rng.uniform(0.15, 0.4))
    for column in range(3):
        for line in range(3):
            left, top = 0.08 + 0.3 * column, 0.08 + 0.28 * line
            right, low = left + 0.25, top + 0.23
            corners = [(left, top), (right, top), (right, low), (left, low)]
            pane = [(x, y + lean * x) for x, y in corners]
            brush.over([(x, y * tall * 0.75) for x, y in pane], light, 0.75, 0.012)


BACKGROUNDS: tuple[Callable[[Canvas, Rng], None], ...] = (studio, meadow, disc, bokeh, stripes)


def lake(canvas: Canvas, rng: Rng) -> None:
    """Mountains at a lake, in the evening."""
    canvas.gradient((58, 72, 122), (250, 190, 142))
    brush = whole(canvas)
    tall = canvas.height / canvas.width
    shore = 0.62 * tall
    sun: Colour = (255, 232, 190)
    brush.over(ellipse(0.68, shore - 0.1, 0.16, 0.16), sun, 0.5, 0.09)
    brush.over(ellipse(0.68, shore - 0.1, 0.045, 0.045), sun, 1.0, 0.003)
    for number in range(4):
        xs = np.linspace(-0.05, 1.05, 34)
        waves = sum(np.sin(xs * pace + rng.uniform(0, 6)) / pace for pace in (4, 9, 17))
        tops = shore - np.clip(
            0.24 - 0.05 * number + 0.3 * waves + rng.normal(0, 0.009, 34), 0.02, 0.4
        )
        outline = [(float(x), float(y)) for x, y in zip(xs, tops, strict=True)]
        slope = brush.shape([*outline, (1.05, shore), (-0.05, shore)])
        canvas.paint(slope, mixed((132, 116, 156), (30, 40, 66), number / 3))
        fog = [(-0.1, shore - 0.02), (1.1, shore - 0.02), (1.1, shore), (-0.1, shore)]
        canvas.paint(
            brush.shape(fog, soft=0.03).within(slope), (252, 206, 170), 0.5 - 0.12 * number
        )
    edge = int(shore * canvas.width)
    mirror = canvas.pixels[max(0, 2 * edge - canvas.height) : edge][::-1]
    below = canvas.pixels[edge : edge + len(mirror)]
    below[:] = mirror * 0.74 + np.array((8, 14, 26), np.float32)
    for _ in range(90):
        x, depth = float(rng.uniform(0, 1)), float(rng.random()) ** 1.5
        y, wide = shore + depth * (tall - shore), 0.02 + 0.1 * depth
        brush.over(ellipse(x, y, wide, 0.0008 + 0.0016 * depth, 40), LIGHT, 0.16, 0.001)


def fruit(canvas: Canvas, rng: Rng) -> None:
    """A still life: fruit on a table."""
    canvas.gradient((70, 88, 96), (40, 48, 58), 0.4)
    brush = whole(canvas)
    tall = canvas.height / canvas.width
    edge = 0.6 * tall
    brush.over(ellipse(0.3, 0.25 * tall, 0.4, 0.3), (136, 150, 148), 0.6, 0.14)
    brush.over([(-0.1, edge), (1.1, edge), (1.1, tall * 1.1), (-0.1, tall * 1.1)], (150, 106, 72))
    for number in range(7):
        y = edge + 0.02 + (tall - edge) * (number / 7) ** 1.3
        brush.over(
            [(-0.1, y), (1.1, y + 0.004), (1.1, y + 0.007), (-0.1, y + 0.003)],
            (96, 62, 42),
            0.6,
            0.002,
        )
    balls: list[tuple[float, float, float, Colour]] = [
        (0.3, -0.02, 0.13, (206, 60, 44)),
        (0.7, -0.03, 0.12, (226, 158, 46)),
        (0.5, 0.03, 0.14, (132, 168, 66)),
        (0.2, 0.11, 0.09, (232, 120, 44)),
        (0.81, 0.1, 0.085, (112, 44, 84)),
    ]
    for x, down, size, colour in balls:
        sphere(brush, x + float(rng.uniform(-0.02, 0.02)), edge + down, size, colour)


def sphere(brush: Brush, x: float, y: float, size: float, colour: Colour) -> None:
    """A round fruit with its shadow on the table."""
    brush.over(
        ellipse(x + size * 0.5, y + size * 0.86, size * 1.1, size * 0.24), DARK, 0.6, size * 0.14
    )
    ball = brush.shape(ellipse(x, y, size, size * 0.95, 120))
    brush.canvas.paint(ball, mixed(colour, DARK, 0.35))
    brush.canvas.paint(
        brush.shape(
            ellipse(x - size * 0.2, y - size * 0.2, size * 0.72, size * 0.68), soft=size * 0.2
        ).within(ball),
        colour,
    )
    brush.light(
        ellipse(x - size * 0.38, y - size * 0.4, size * 0.22, size * 0.18), 0.7, size * 0.1, ball
    )
    brush.shadow(ellipse(x, y - size * 0.86, size * 0.2, size * 0.08), 0.7, size * 0.05, ball)
    stem = smooth(
        [
            (x, y - size * 0.85),
            (x + size * 0.06, y - size * 1.1),
            (x + size * 0.16, y - size * 1.2),
        ],
        closed=False,
    )
    brush.over([*stem, *[(a + size * 0.05, b) for a, b in stem[::-1]]], (74, 52, 36), 1.0, 0.001)


def dunes(canvas: Canvas, rng: Rng) -> None:
    """Waves of sand under a high sun."""
    canvas.gradient((92, 156, 196), (250, 232, 204))
    brush = whole(canvas)
    tall = canvas.height / canvas.width
    for number in range(7):
        y = tall * (0.42 + 0.085 * number)
        turn, size = float(rng.uniform(0, 6)), 0.02 + 0.012 * number
        xs = np.linspace(-0.1, 1.1, 60)
        crest = [
            (float(x), y + size * sin(turn + 5 * float(x)) + size * cos(2.3 * float(x))) for x in xs
        ]
        dune = brush.shape([*crest, (1.1, tall * 1.2), (-0.1, tall * 1.2)])
        sand = mixed((248, 214, 166), (196, 116, 66), number / 6)
        canvas.paint(dune, sand)
        lee = [(x, b + 0.012 + 0.05 * max(0.0, sin(turn + 5 * x + 0.9))) for x, b in crest]
        brush.shadow([*crest, *lee[::-1]], 0.5, 0.006, dune, (186, 118, 96))


SCENES: tuple[Callable[[Canvas, Rng], None], ...] = (lake, fruit, dunes)
