"""Paints what people wear on their heads: a scarf, a knitted cap, glasses."""

import numpy as np

from pipeline.sample.canvas import Colour, both, ellipse, mixed, smooth, stroke
from pipeline.sample.face import LIGHT, Brush, Looks


def scarf(brush: Brush, looks: Looks, wear: Colour) -> None:
    """A cloth around head and neck, open for the face."""
    k = looks.length
    cloth_half = [(0.86, -1.42), (1.24, -0.6), (1.2, 0.5), (0.98, 1.3), (1.15, 2.0), (0.5, 2.35)]
    face_half = [(0.58, -0.9), (0.86, -0.4), (0.86, 0.3), (0.62, 0.95), (0.3, 1.22 * k)]
    around = smooth(both([(0, -1.68), *cloth_half]))
    face = smooth(both([(0, -1.06), *face_half]))
    brush.shadow(stroke([*face, face[0]], [0.2, 0.2]), 0.7, 0.06, brush.shape(face))
    cloth = brush.shape(around, face)  # two outlines: the inner one is a hole
    brush.canvas.paint(cloth, wear)
    brush.shadow(
        smooth([(0.5, -1.7), (1.5, -1.0), (1.5, 2.4), (0.6, 2.4), (0.95, 0.4)]), 0.7, 0.15, cloth
    )
    brush.light(ellipse(-0.5, -1.25, 0.4, 0.16), 0.28, 0.12, cloth)
    for shift in (0.0, 0.22, 0.44, 0.66):
        fold = smooth(
            [(-1.0, 0.8 + shift), (-0.3, 1.42 + shift), (0.5, 1.5 + shift), (1.1, 1.0 + shift)],
            closed=False,
        )
        brush.shadow(stroke(fold, [0.0, 0.09, 0.02]), 0.5, 0.025, cloth)
        brush.light(stroke([(x, y - 0.08) for x, y in fold], [0.0, 0.06, 0.0]), 0.2, 0.025, cloth)
    for shift in (0.0, 0.14):
        fold = smooth(
            [(-1.02 - shift, -0.1), (-0.82 - shift, -0.9), (-0.1, -1.3 - shift)], closed=False
        )
        brush.shadow(stroke(fold, [0.0, 0.05, 0.0]), 0.4, 0.02, cloth)


def beanie(brush: Brush, wear: Colour) -> None:
    """A knitted cap down to the forehead."""
    dome = brush.shape(
        smooth(
            [
                (-1.12, -0.7),
                (-1.06, -1.3),
                (-0.6, -1.78),
                (0, -1.9),
                (0.6, -1.78),
                (1.06, -1.3),
                (1.12, -0.7),
            ]
        )
    )
    brush.canvas.paint(dome, wear)
    for step in np.linspace(-0.95, 0.95, 17):
        rib = [(float(step), -0.6), (float(step) * 0.85, -1.35), (float(step) * 0.3, -1.9)]
        brush.shadow(stroke(smooth(rib, closed=False), [0.03, 0.03, 0.0]), 0.4, 0.012, dome)
    brush.shadow(smooth([(0.4, -2.0), (1.3, -1.6), (1.3, -0.5), (0.75, -0.5)]), 0.7, 0.16, dome)
    brush.light(ellipse(-0.45, -1.45, 0.3, 0.16), 0.3, 0.12, dome)
    brim = smooth(
        [(-1.16, -0.55), (-1.15, -0.95), (0, -1.14), (1.15, -0.95), (1.16, -0.55), (0, -0.76)],
        steps=8,
    )
    band = brush.shape(brim)
    brush.canvas.paint(band, mixed(wear, LIGHT, 0.1))
    for step in np.linspace(-1.1, 1.1, 31):
        brush.shadow(
            [(float(step), -1.3), (float(step) + 0.02, -1.3), (float(step) + 0.02, -0.5)],
            0.6,
            0.012,
            band,
        )
    brush.shadow(smooth([(0.5, -1.3), (1.4, -1.3), (1.4, -0.4), (0.8, -0.4)]), 0.6, 0.14, band)


def glasses(brush: Brush) -> None:
    frame: Colour = (48, 38, 36)
    for side in (-1, 1):
        lens = smooth(
            [
                (side * x, y)
                for x, y in [
                    (0.13, -0.16),
                    (0.42, -0.21),
                    (0.72, -0.15),
                    (0.69, 0.14),
                    (0.42, 0.22),
                    (0.17, 0.13),
                ]
            ]
        )
        glass = brush.shape(lens)
        brush.canvas.paint(glass, LIGHT, 0.06)
        glint = [
            (side * 0.42 - 0.16, -0.24),
            (side * 0.42 - 0.04, -0.24),
            (side * 0.42 - 0.2, 0.24),
            (side * 0.42 - 0.3, 0.24),
        ]
        brush.light(glint, 0.16, 0.01, glass)
        brush.over(stroke([*lens, lens[0], lens[1]], [0.04, 0.04]), frame, 0.95, 0.004)
        brush.over(
            stroke([(side * 0.7, -0.1), (side * 0.93, -0.12)], [0.045, 0.03]), frame, 0.95, 0.004
        )
    bridge = smooth([(-0.14, -0.07), (0, -0.12), (0.14, -0.07)], closed=False)
    brush.over(stroke(bridge, [0.035, 0.035]), frame, 0.95, 0.004)
