"""How fast a page draws in headless Chromium, and how far it is from Python: page.py MODEL ..."""

import argparse
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # before another's `tests`
from tests.kit import chromium
from training.deploy.cli import quiet_tensorflow
from training.deploy.page import PSI, Page, write_page

SEEDS = range(8)
SECONDS = 8.0
COUNT = """
const put = CanvasRenderingContext2D.prototype.putImageData;
window.count = 0;
CanvasRenderingContext2D.prototype.putImageData = function (...given) {
  window.count += 1;
  return put.apply(this, given);
};
"""
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    models = parser.parse_args().models
    quiet_tensorflow()
    print(f"{'':20} {'pictures/s':>10} {'processor ms':>12} {'furthest of 255':>15}")
    for name in models:
        with TemporaryDirectory() as folder:
            page = Page(name, Path(folder) / "page")
            write_page(page)
            rate, took, furthest = shown(page, Path(folder))
        print(f"{name.stem:20} {rate:10.1f} {took:12.1f} {furthest:15}", flush=True)


def shown(page, folder):
    """Pictures a second of a walk, milliseconds of one, and the largest difference to Python.

    The milliseconds are of the processor, for all that the page does for a picture: what they
    would be by the clock where no other work shares the core.
    """
    handler = partial(Quiet, directory=page.out)
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        chromium.browser(folder / "browser") as browser,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser.screen(1280, 860)
        browser.open(f"http://127.0.0.1:{server.server_port}/")
        furthest = max(difference(browser, page.model, seed) for seed in SEEDS)
        browser.ask(COUNT)
        browser.call("Performance.enable", timeDomain="threadTicks")
        browser.click("#walk")
        browser.until("document.querySelector('#rate').textContent")
        (first, spent), start = drawn_so_far(browser), time.monotonic()
        time.sleep(SECONDS)
        (last, end), seconds = drawn_so_far(browser), time.monotonic() - start
        server.shutdown()
    return (last - first) / seconds, 1000 * (end - spent) / (last - first), furthest


def drawn_so_far(browser):
    """How many pictures were drawn, and the seconds of the processor that it took."""
    found = browser.call("Performance.getMetrics")["metrics"]
    seconds = next(each["value"] for each in found if each["name"] == "TaskDuration")
    return browser.ask("window.count"), seconds


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
