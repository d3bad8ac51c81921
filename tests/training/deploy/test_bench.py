"""The bench: a row for each way to run a generator and each count of threads."""

import pytest

from tests.kit.made_generators import opened
from training import cli
from training.deploy import bench, export, formats, phone
from training.deploy.formats import FORMATS
from training.deploy.rate import operations
from training.networks.architecture import GeneratorConfig


@pytest.mark.slow
def test_each_way_has_its_row(tmp_path, capsys, monkeypatch):
    """With two threads; the student below is timed with one, too."""
    monkeypatch.setattr(bench, "THREADS", (2,))
    monkeypatch.setattr(export, "THREADS", (2,))
    model = opened("classes", tmp_path / "model.npz").path
    monkeypatch.setattr(formats, "find_spec", lambda name: None if name == "tf2onnx" else name)
    monkeypatch.setattr(bench, "ways", lambda: [("tflite", "int8"), ("onnx", "")])
    assert cli.main(["bench", f"--model={model}", "--batch=2", "--seconds=0"]) == 0
    head, names, *rows, lacking = capsys.readouterr().out.splitlines()
    assert "2 at a time" in head and names == bench.HEAD
    assert lacking.startswith("onnx: to = onnx needs tf2onnx, not installed here")
    assert [row[:24].split() for row in rows] == [["python", "2"], ["tflite", "int8", "2"]]
    for row in rows:
        rate, share, peak, size = (float(word.rstrip("%")) for word in row[24:].split())
        assert rate > 0 and 0 <= share < 100 and 20 < peak < 3000 and size < 1
    python, lite = (float(row[24:].split()[2]) for row in rows)
    assert lite < python / 2  # LiteRT is no TensorFlow


def test_operations_are_those_of_the_published_generator():
    # MACs of the synthesis of config-f at 1024 pixels: 74.27e9, by a published count.
    config = GeneratorConfig(height=1024, width=1024)
    assert operations(config) == pytest.approx(2 * 74.27e9, rel=2e-3)


def test_every_way_to_write_a_file_is_timed():
    assert {to for to, _ in bench.ways()} == set(FORMATS)
    assert ("tflite", "int8") in bench.ways() and len(bench.ways()) == len(FORMATS) + 2


@pytest.mark.slow
def test_a_students_times_stand_beside_those_of_its_paper(tmp_path):
    student = opened("student", tmp_path / "student.npz")
    size, head, *times, paper, _, _, _, cpu, tool, first, second = phone.on_a_phone(student, 5)
    assert size.startswith("without its mapping network: 0.0") and "mean of 5 runs" in head
    assert [line.split()[1] for line in times] == ["float32", "float16", "int8"]
    assert all(float(ms) > 0 for line in times for ms in line.split()[2:])
    assert paper.endswith("Galaxy S20") and cpu.split()[-1] == "14.14"
    assert "TFLite's own tool" in tool and "--num_runs=50" in first and "--use_gpu" in second
