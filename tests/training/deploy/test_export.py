"""The command that exports: what it writes and says, and one sentence for what cannot be."""

import re
import subprocess
import sys
from textwrap import dedent

import numpy as np
import pytest

from tests.kit.made_generators import opened
from tests.kit.store import ROOT
from training import cli
from training.deploy import export as exporting
from training.deploy import formats
from training.deploy.export import DeployError, Difference, differing, export_program
from training.deploy.formats import FORMATS
from training.deploy.tflite import ConversionError, lacking, write_tflite
from training.exchange.opening import open_generator

FACES_Z = 64  # z_dim of recipes/models/faces.npz, which the pages draw with


@pytest.fixture
def model(tmp_path):
    return opened("classes", tmp_path / "model.npz").path


def exported(*words):
    return cli.main(["export", *map(str, words)])


def said(capsys, code):
    out, error = capsys.readouterr()
    assert (code, out, error.count("\n")) == (2, "", 1), error
    return error


@pytest.mark.slow
def test_the_command_says_how_its_file_differs(model, tmp_path, capsys):
    out = tmp_path / "new" / "model.onnx"
    assert exported("--model", model, "--to", "onnx", "--out", out) == 0
    told = capsys.readouterr().out
    assert f"{out}, " in told and str(model) in told
    assert float(re.search(r"at most (\S+),", told)[1]) <= 2e-5
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--to=onnxx", "--out=a"), "--to = onnxx; did you mean onnx?"),
        (("--to=onnx", "--out=a.tflite"), "ends as tflite does, and to = onnx: --to tflite, or"),
        (("--to=savedmodel", "--out=a.pb"), "ends as frozen does, and to = savedmodel"),
        (
            ("--to=onnx", "--quantize=int8", "--out=a"),
            "onnx has none: leave it out, or --to tflite",
        ),
        (("--to=npz", "--from=w", "--out=a"), "from = w: npz holds the whole generator"),
        (("--to=frozen", "--out={model}"), "ends as npz does"),
        (("--to=npz", "--out={model}"), "exists already: choose another name"),
        (
            ("--to=savedmodel", "--out={model}/a"),
            "model.npz/a: nothing can be written there",
        ),
        (("--to=frozen", "--out=/proc/a/b.pb"), "/proc/a/b.pb: nothing can be written there"),
    ],
)
def test_words_that_cannot_be_are_one_sentence(model, capsys, words, sentence):
    filled = [word.format(model=model) for word in words]
    assert sentence in said(capsys, exported("--model", model, *filled))


def test_a_model_that_is_not_there_is_one_sentence(tmp_path, capsys):
    error = said(capsys, exported(f"--model={tmp_path / 'a.npz'}", f"--out={tmp_path / 'b.npz'}"))
    assert "a.npz does not exist: name a run, a .npz or a .pkl" in error


@pytest.mark.slow
def test_a_missing_library_is_named_with_its_extra(model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(formats, "find_spec", lambda name: None if name == "tf2onnx" else name)
    error = said(capsys, exported(f"--model={model}", "--to=onnx", f"--out={tmp_path / 'a.onnx'}"))
    assert "needs tf2onnx, not installed here: install the extra deploy: ./setup.sh" in error


@pytest.mark.slow
def test_a_file_that_draws_other_pictures_is_not_kept(model, tmp_path, monkeypatch):
    def other(to, path, inputs, folder):
        images = np.zeros((4, 8, 8, 3), np.uint8)
        return {"images": images, "float": images.astype(np.float32)}

    monkeypatch.setattr(exporting, "drawn_apart", other)
    monkeypatch.setitem(
        FORMATS, "made", formats.Format("", lambda made, path, quantize: path.touch(), "nothing")
    )
    with pytest.raises(DeployError, match="would draw other pictures"):
        export_program(open_generator(model), "made", tmp_path / "a")
    assert not [path for path in tmp_path.iterdir() if path != model]


@pytest.mark.slow
def test_what_comes_while_a_file_is_made_is_not_replaced(model, tmp_path, monkeypatch):
    """As by the same command a second time; that of a large model takes minutes."""

    def drawn(to, path, inputs, folder):
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "of another").write_text("")
        own = exporting.drawn_here(open_generator(model).network(), inputs)
        return {"images": exporting.encode(own), "float": own}

    made = formats.Format("", lambda program, path, quantize: path.mkdir(), "")
    monkeypatch.setitem(FORMATS, "made", made)
    monkeypatch.setattr(exporting, "drawn_apart", drawn)
    with pytest.raises(DeployError, match="a exists already: choose another name"):
        export_program(open_generator(model), "made", tmp_path / "a")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["of another"]


@pytest.mark.slow
def test_a_file_that_does_not_run_is_one_sentence(tmp_path):
    broken = tmp_path / "a.onnx"
    broken.write_bytes(b"broken")
    with pytest.raises(DeployError, match=r"a\.onnx: onnx does not run here"):
        exporting.drawn_apart("onnx", broken, {"psi": np.ones(1)}, tmp_path)


def test_the_difference_is_of_floats_levels_and_decibels():
    own = np.full((1, 2, 2, 1), -1, np.float32)
    found = {"images": np.full(own.shape, 1, np.uint8), "float": own + np.float32(0.5)}
    difference = differing(found, own)
    assert difference == Difference(0.5, 1, pytest.approx(20 * np.log10(255)))
    assert str(difference) == "floats differ by at most 5.0e-01, levels by 1 of 255, PSNR 48.1 dB"
    same = differing({"images": np.zeros(own.shape, np.uint8), "float": own}, own)
    assert str(same) == "floats differ by at most 0.0e+00, levels not at all"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_operation_that_is_no_builtin_is_named(tmp_path):
    import tensorflow as tf

    class Strange(tf.Module):
        def traced(self, count):
            spec = tf.TensorSpec([2, 2], tf.float32, name="x")
            return tf.function(lambda x: {"y": tf.linalg.inv(x)}).get_concrete_function(spec)

    with pytest.raises(ConversionError, match="no built-in operation for MatrixInverse: choose"):
        write_tflite(Strange(), tmp_path / "a.tflite", "")
    assert not (tmp_path / "a.tflite").exists()


def test_what_a_converter_says_else_is_passed_on():
    assert "the converter refuses it (out of luck): choose" in lacking("out of\nluck")


def snippets():
    """The programs in docs/use.md that load a file, by what they load."""
    page = (ROOT / "docs" / "use.md").read_text().partition("## Export")[2].partition("\n## ")[0]
    blocks = re.findall(r"(?:^(?: {4}.*)?\n)+", page, re.MULTILINE)
    codes = [dedent(block) for block in blocks if "import numpy" in block]
    return {re.search(r'"(faces\.?\w*)"', code)[1]: code for code in codes}


def test_every_format_has_a_program_in_the_pages():
    assert sorted(snippets()) == sorted(f"faces{each.suffix}" for each in FORMATS.values())
    assert all(len(code.strip().splitlines()) <= 10 for code in snippets().values())


@pytest.mark.slow
@pytest.mark.parametrize(
    "formats", [("savedmodel", "frozen"), ("tflite",), ("onnx",)], ids=",".join
)
def test_the_program_in_the_pages_draws_a_picture(formats, tmp_path, monkeypatch):
    """It is the process of its own that reads the file, so that the export needs none.

    Those of one library run in one process.
    """
    monkeypatch.setattr(exporting, "drawn_apart", lambda *_: None)
    monkeypatch.setattr(exporting, "differing", lambda *_: Difference(0.0, 0, float("inf")))
    faces, code = opened("rgb", tmp_path / "model.npz", z_dim=FACES_Z), ""
    for to in formats:
        name = f"faces{FORMATS[to].suffix}"
        assert exported(f"--model={faces.path}", f"--to={to}", f"--out={tmp_path / name}") == 0
        alone = f"{snippets()[name]}\nfound = images.shape, str(images.dtype), np.std(images) > 10"
        alone += f"\nassert found == ((1, 16, 16, 3), 'uint8', True), ({name!r}, found)\n"
        code += f"exec({alone!r}, {{}})\n"
    environment = {"PATH": "/usr/bin:/bin", "CUDA_VISIBLE_DEVICES": "-1", "HOME": str(tmp_path)}
    line = [sys.executable, "-I", "-c", code]
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
