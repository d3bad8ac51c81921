"""The bench: a row for each way to run a generator and each count of threads."""

import pytest

from tests.kit.made_generators import opened
from training import cli
from training.deploy import bench, formats
from training.deploy.formats import FORMATS


@pytest.mark.slow
def test_each_way_and_thread_has_its_row(tmp_path, capsys, monkeypatch):
    model = opened("classes", tmp_path / "model.npz").path
    monkeypatch.setattr(formats, "find_spec", lambda name: None if name == "tf2onnx" else name)
    monkeypatch.setattr(bench, "ways", lambda: [("tflite", "int8"), ("onnx", "")])
    assert cli.main(["bench", f"--model={model}", "--batch=2", "--seconds=0.1"]) == 0
    head, names, *rows, lacking = capsys.readouterr().out.splitlines()
    assert "2 at a time" in head and names == bench.HEAD
    assert lacking.startswith("onnx: to = onnx needs tf2onnx, not installed here")
    assert [row[:24].split() for row in rows] == [
        [*what.split(), threads] for what in ("python", "tflite int8") for threads in ("1", "2")
    ]
    for row in rows:
        rate, peak, size = map(float, row[24:].split())
        assert rate > 0 and 20 < peak < 3000 and size < 1
    peaks = [float(row[24:].split()[1]) for row in rows]
    assert max(peaks[2:]) < min(peaks[:2]) / 2  # LiteRT is no TensorFlow


def test_every_way_to_write_a_file_is_timed():
    assert {to for to, _ in bench.ways()} == set(FORMATS)
    assert ("tflite", "int8") in bench.ways() and len(bench.ways()) == len(FORMATS) + 2
