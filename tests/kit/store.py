"""A small store: made photos, a detector and an embedder that need no model, no processes."""

import json
import time
from dataclasses import replace
from pathlib import Path

import luigi
import numpy as np
from PIL import Image

from atelier import pictures
from atelier.boxes import Box
from detectors.base import Detection
from pipeline import options, tasks
from pipeline.photos.folder import read_photo
from pipeline.rows import columns, manifest, memo
from pipeline.rows.manifest import dropped
from pipeline.stages import detect

ROOT = Path(__file__).resolve().parents[2]


class BrightFace:
    """Finds the bright squares of made photos, left to right."""

    long_side = 0
    channels = 1
    together = 3

    def __call__(self, pictures):
        return [self.find(picture) for picture in pictures]

    def find(self, picture):
        columns = (picture >= 250).any(axis=0).astype(int)
        starts = np.flatnonzero(np.diff(columns, prepend=0) == 1)
        ends = np.flatnonzero(np.diff(columns, append=0) == -1) + 1
        found = []
        for left, right in zip(starts, ends, strict=True):
            rows = np.flatnonzero((picture[:, left:right] >= 250).any(axis=1))
            box = Box(int(left), int(rows.min()), int(right), int(rows.max()) + 1)
            found.append(Detection("face", 0.9, box))
        return found


def mean_colours(items, config, folder):
    """An embedder for tests: the mean colour of four quarters of the rectangle."""
    for item in items:
        try:
            pixels = pictures.decode(read_photo(item), item.row.rectangle)
        except pictures.UnreadableError as reason:
            yield [dropped(item.row, str(reason))]
            continue
        halves = [half for part in np.array_split(pixels, 2) for half in np.array_split(part, 2, 1)]
        vector = np.float32([half.mean(axis=(0, 1)) / 255 for half in halves]).ravel()
        yield [replace(item.row, embedding=item.key, features=vector.tobytes())]


def photo(seed, faces=((60, 50, 20),), size=(160, 120), dark=40):
    """A made photo: noise, and a bright square (left, top, side) for each face."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(dark, dark + 40, (size[1], size[0], 3)).astype(np.uint8)
    for left, top, side in faces:
        pixels[top : top + side, left : left + side] = 255
    return pixels


def save(path, pixels, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **more)


def without_models(patch):
    """From now on stages find bright squares and embed mean colours."""
    patch.setattr(detect, "load", lambda *_: BrightFace())
    patch.setattr(tasks.Embed, "work", staticmethod(mean_colours))
    patch.setattr(tasks.Embed, "prepare", lambda *_: None)


def source_of_six(folder):
    """Photos: four portraits, one empty scene, one copy; the options of a store beside them."""
    source = folder / "photos"
    for number in range(4):
        save(source / f"{number}.png", photo(number, [(60 + number, 40, 20 + 2 * number)]))
    save(source / "scene.png", photo(8, []))
    (source / "copy.png").write_bytes((source / "3.png").read_bytes())
    return {
        "Store_root": folder / "store",
        "Ingest_source": source,
        "Engine_scheduler": "in-process",
        "Engine_rows": 2,
        "Dataset_size": 32,
        "Crop_min_face": 4,
        "Detect_detector": "haar",
    }


def reference_of_ten(folder):
    """Photos like those portraits; the options that compare with them."""
    for number in range(10):
        picture = photo(100 + number, [(60 + number, 40, 22)])
        save(folder / "reference" / f"{number}.png", picture)
    return {"FilterPose_reference": folder / "reference", "FilterPose_limit": "best 0.75"}


def set_options(**values):
    """set_options(Crop_max_faces=2): as on the command line, for tasks made from now on."""
    for name, value in values.items():
        options.set_option(name.replace("_", "-", 1), str(value))
    fresh()


def build(task):
    """Build a task in this process; returns whether it succeeded."""
    return luigi.build([task], local_scheduler=True, no_lock=True, log_level="CRITICAL")


def fresh():
    """As the next command sees it: nothing cached in memory."""
    luigi.task_register.Register.clear_instance_cache()


def counting(monkeypatch, stage):
    """Note the id of every row that `stage` works on from now on."""
    seen, work = [], stage.work

    def noted(items, config, folder):
        seen.extend(item.row.id for item in items)
        return work(items, config, folder)

    monkeypatch.setattr(stage, "work", staticmethod(noted))
    return seen


def results(store):
    """Every result in the store: its path and its bytes. How the work was cut is no result."""
    found = {path.relative_to(store): path for path in store.rglob("*") if path.is_file()}
    inner = {name: path for name, path in found.items() if {"parts", "lock"}.isdisjoint(name.parts)}
    return {str(n): path.read_bytes() for n, path in inner.items() if not n.name.startswith(".")}


def rows_by_key(parts):
    """The rows of every key that has a result, as a stage's next run finds them."""
    table, found = memo.results(memo.files(parts), manifest.IN_MANIFEST), {}
    for key, row in zip(columns.ids(table, "key"), manifest.rows_of(table), strict=True):
        found.setdefault(key, []).append(row)
    return found


def address_in(file):
    for _ in range(1200):
        if file.exists() and file.read_text():
            return json.loads(file.read_text())["address"]
        time.sleep(0.1)
    raise TimeoutError("the scheduler did not start")
