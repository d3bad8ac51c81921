"""How fast a page draws in headless Chromium, and how far it is from Python: page.py MODEL ..."""

import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from tests.kit import chromium
from training.deploy.cli import quiet_tensorflow
from training.deploy.page import PSI, Page, write_page

SEEDS = range(8)
SECONDS = 8.0
MS = "Number(document.documentElement.dataset.ms)"
CANVAS = """(() => {
  const c = document.querySelector('#picture');
  return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data];
})()"""


class Quiet(SimpleHTTPRequestHandler):
    """A static server without a line a request."""

    def log_message(self, *_):
        pass


def main():
    """A row for each model."""
    quiet_tensorflow()
    print(f"{'':24} {'pictures/s':>10} {'ms, median':>10} {'furthest of 255':>15}")
    for name in map(Path, sys.argv[1:]):
        with TemporaryDirectory() as folder:
            page = Page(name, Path(folder) / "page")
            write_page(page)
            rate, took, furthest = shown(page, Path(folder))
        print(f"{name.stem:24} {rate:10.1f} {took:10.1f} {furthest:15}")


def shown(page, folder):
    """Pictures a second of a walk, milliseconds of one, and the largest difference to Python."""
    handler = partial(Quiet, directory=page.out)
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        chromium.browser(folder / "browser") as browser,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser.screen(1280, 860)
        browser.open(f"http://127.0.0.1:{server.server_port}/")
        furthest = max(difference(browser, page.model, seed) for seed in SEEDS)
        browser.click("#walk")
        rates, times, end = [], [], time.monotonic() + SECONDS
        while time.monotonic() < end:
            time.sleep(0.25)
            times.append(browser.ask(MS))
            rates.append(browser.ask("document.querySelector('#rate').textContent"))
        server.shutdown()
    return median(float(rate.split()[0]) for rate in rates if rate), median(times), furthest


def difference(browser, model, seed):
    """How far the canvas is from Python's picture of a seed."""
    browser.write("#seed", str(seed))
    browser.until("document.documentElement.dataset.settled")
    own = python_picture(model, seed).astype(int)
    found = np.array(browser.ask(CANVAS)).reshape(*own.shape[:2], 4)[..., : own.shape[2]]
    return int(abs(found - own).max())


def python_picture(model, seed, kept={}):  # noqa: B006
    """What `generate` draws."""
    from training.explore.asked import Look
    from training.explore.model import open_model

    opened = kept.get(model) or kept.setdefault(model, open_model(model))
    return next(iter(opened.drawn([seed], Look(psi=PSI))))[1]


if __name__ == "__main__":
    main()
