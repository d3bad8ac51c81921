"""The laws of the cache, with every kind of detector as users run them."""

import pytest

from detectors.kinds import KINDS
from pipeline.rows import manifest
from pipeline.stages import detect
from tests.kit.commands import run, run_here
from tests.kit.made_graphs import frozen, saved_model
from tests.kit.store import photo, save

FIND = [(0.9, 1, [0.25, 0.25, 0.75, 0.75])]


def model(folder):
    folder.mkdir()
    (folder / "label_map.pbtxt").write_text("item {\n  id: 1\n  name: 'portrait'\n}\n")
    saved_model(folder / "saved_model", FIND)
    return folder


MADE = {  # a model of each kind that is given one
    "tfod": lambda folder: frozen(folder / "faces.pb", FIND),
    "hub": lambda folder: saved_model(folder / "hub", FIND),
    "crop": lambda folder: model(folder / "crop"),
}
NAMED = [form for kind in KINDS.values() if not kind.is_given for form in kind.forms]


def looked(folder, detector, **more):
    """(what was said, the rows of Detect) of a run."""
    options = {"Detect_detector": detector, **more}
    done = run(folder, "run", "Detect", **options)
    assert done.returncode == 0, done.stderr
    found = (folder / more.get("store", "store") / "detect").glob("*/*.parquet")
    newest = max(found, key=lambda path: path.stat().st_mtime_ns)
    return done.stderr, [(row.id, row.boxes, row.drop) for row in manifest.read_manifest(newest)]


@pytest.fixture(params=[*NAMED, "yunet", *MADE])
def detector(request, tmp_path):
    if request.param in MADE:
        return f"{request.param}:{MADE[request.param](tmp_path)}?min_score=0.1&names=face"
    if request.param == "yunet":
        data = request.getfixturevalue("test_data")
        return f"yunet:{data / 'models' / 'face_detection_yunet_2023mar.onnx'}"
    return request.param


def test_every_kind_is_under_the_laws():
    assert {kind for kind in KINDS if KINDS[kind].is_given} == {"yunet", *MADE}


@pytest.mark.slow
def test_the_laws_hold_with(detector, tmp_path, monkeypatch):
    """A model of TensorFlow's is tried in a process of its own once: that of `tfod`."""
    if detector.startswith(("hub", "crop")):
        monkeypatch.setattr(detect.processes, "run_apart", run_here)
    for number in range(5):
        save(tmp_path / "photos" / f"{number}.png", photo(number, [(60, 60, 24)]))
    said, rows = looked(tmp_path, detector)
    assert "Detect: 5 of 5 rows" in said
    assert len(rows) == 5 and not [drop for _, _, drop in rows if drop]

    # The same rows from other units; nothing for a second run; only what is new for a third one.
    assert looked(tmp_path, detector, store="other", Engine_rows=1)[1] == rows
    assert "Detect" not in looked(tmp_path, detector)[0]
    save(tmp_path / "photos" / "new.png", photo(9, [(60, 60, 24)]))
    said, grown = looked(tmp_path, detector)
    assert "Detect: 1 of 1 rows" in said
    assert len(grown) == 6 and all(row in grown for row in rows)
