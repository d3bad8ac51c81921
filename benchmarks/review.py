"""From a key to the next picture in the review window, on photos of 24 megapixels.

    python benchmarks/review.py [--photos 24] [--pause 0.7]

Needs a screen (or Xvfb). Each photo is accepted with Enter after `--pause` seconds, which is what a
quick person needs to look; meanwhile the next photo is decoded. Then once more, without a pause.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import photos

from atelier.boxes import Box
from detectors.base import Detection
from pipeline.review.session import Sitting, check_screen
from pipeline.rows.manifest import Row
from pipeline.stages.crop import Recipe

SIZE = 4000, 6000
FACE = Detection("face", 0.9, Box(1500, 1800, 2500, 2800))
ENTER = 13


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("--pause", type=float, default=0.7, help="seconds")
    given = parser.parse_args()
    check_screen()
    with tempfile.TemporaryDirectory() as name:
        paths = photos.draw(Path(name) / "photos", given.photos, SIZE)
        print(f"{given.photos} JPEGs of {os.path.getsize(paths[0]) / 1e6:.1f} MB")
        for pause in (given.pause, 0.0):
            took = sorted(accepted(Path(name) / f"store-{pause:g}", paths, pause))
            print(
                f"pause {pause:g} s: key to picture {statistics.median(took) * 1000:.0f} ms,"
                f" worst {took[-1] * 1000:.0f} ms (aim: under 100 ms)"
            )


def accepted(store: Path, paths: list[Path], pause: float) -> list[float]:
    """Accept every photo; seconds from each key until the next picture is handed over."""
    from pipeline.review.ahead import Ahead
    from pipeline.review.state import begin
    from pipeline.review.view import Look
    from pipeline.review.window import Window
    from pipeline.rows.decisions import in_force

    rows = [
        Row(str(n), str(n), width=SIZE[0], height=SIZE[1], boxes=(FACE,)) for n in range(len(paths))
    ]
    recipe = Recipe()
    sitting = Sitting(store, rows, {row.id: row for row in rows}, recipe, lambda row: b"")
    ahead = Ahead(lambda photo: paths[int(photo.id)].read_bytes())
    took: list[float] = []

    class Hurried(Window):
        """Presses Enter by itself, and q at the end."""

        def show(self) -> None:
            super().show()
            self.shown = time.perf_counter()

        def fit(self) -> None:
            super().fit()
            if not self.changed and time.perf_counter() - self.shown >= pause:
                self.key(ENTER if len(took) < len(paths) - 1 else ord("q"))

    start = begin(tuple(sitting.photos()), in_force([]), (), ("other",))
    Hurried(start, sitting.journal, ahead, Look(0.5, 0.4, (0, 0)), timed=took.append).run()
    return took


if __name__ == "__main__":
    main()
