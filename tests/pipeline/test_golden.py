"""What the stages decided and wrote when they were last looked at.

A change here is a changed result: raise the stage's `version`, delete tests/golden.json, run this
once to write it anew, and look at the difference.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.tasks import FilterPose, Ingest, Resize
from tests.kit.store import build, photo, save, set_options

GOLDEN = Path(__file__).parent / "golden.json"
pytestmark = pytest.mark.usefixtures("reference")


def story(store):
    """Each photo's path -> what was decided about it, and its pictures on an 8 x 8 grid."""
    assert build(Resize())
    names = {row.photo: row.path for row in Ingest().rows()}
    told = {row.path: {"drop": row.drop} for row in Ingest().rows() if row.drop}
    for row in FilterPose().rows():
        told[names[row.photo]] = {"face": row.face, "score": round(row.score, 7), "drop": row.drop}
    for row in Resize().rows():
        known = told[names[row.photo]].setdefault("pictures", {})
        small = Image.open(store / row.picture).resize((8, 8), Image.Resampling.BOX)
        name = row.id.replace(row.photo, "")
        known[name] = {"rectangle": row.rectangle, "pixels": np.asarray(small).ravel().tolist()}
    return json.loads(json.dumps(told))


@pytest.mark.slow
def test_nothing_decides_or_draws_otherwise_than_before(store):
    for number in range(4, 7):
        save(store.parent / "photos" / f"{number}.png", photo(number, [(70, 30, 16 + 4 * number)]))
    set_options(Zoom_share=0.4, FilterPose_limit="best 0.75")
    now = story(store)
    if not GOLDEN.exists():
        GOLDEN.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n")
        pytest.fail("golden.json was missing and is written: look at it, then commit it")
    before = json.loads(GOLDEN.read_text())
    pixels = [pop_pixels(one) for one in (before, now)]
    assert now == before
    assert pixels[0].keys() == pixels[1].keys()
    for name, values in pixels[0].items():
        assert np.abs(np.subtract(values, pixels[1][name])).max() <= 2, name


def pop_pixels(told):
    return {
        (path, name): picture.pop("pixels")
        for path, one in told.items()
        for name, picture in one.get("pictures", {}).items()
    }
