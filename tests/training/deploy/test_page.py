"""The folder of a page: what is in it, and one sentence for what cannot be."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.kit.made_generators import opened
from tests.kit.small_models import small_model
from training import cli
from training.deploy import page, parts, standalone
from training.deploy.page import WEB, Page, check_page, check_size, write_page
from training.deploy.program import Program, program
from training.exchange.pickles import NetworkFileError

WEBS = sorted(path.name for path in WEB.iterdir())


def converts(test):
    """A test in which TensorFlow's converter runs, for some seconds."""
    for kind in ("DeprecationWarning", "UserWarning"):
        test = pytest.mark.filterwarnings(f"ignore::{kind}")(test)
    return pytest.mark.slow(test)


def said(capsys, *words):
    """The one sentence of a command that is refused."""
    assert cli.main([*map(str, words)]) == 2
    out, error = capsys.readouterr()
    assert (out, error.count("\n")) == ("", 1), error
    return error


def test_no_page_names_another_site():
    text = "".join(path.read_text() for path in WEB.iterdir())
    addresses = [word for word in text.split('"') if "://" in word and "localhost" not in word]
    assert all("www.w3.org/2000/svg" in word for word in addresses)
    assert "eval(" not in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--model=x.npz", "--out={full}"), "exists already: choose another name, or remove it"),
        (("--model=x.npz", "--out={full}/a/b"), "a/b: nothing can be written there"),
        (("--model=x.tflite", "--out={new}"), "model = x.tflite: there is no such run or"),
        (("--model=x", "--out={new}", "--teacher=y"), "teacher = y: there is no such run"),
        (("--model=x", "--out={new}", "--directions=y"), "directions = y: there is no such file"),
        (("--model={broken}", "--out={new}"), "is no .tflite that `export` wrote: name the model"),
        (
            ("--model={broken}", "--out={new}", "--directions={broken}"),
            "broken.tflite: a .tflite draws from z alone: leave them out",
        ),
    ],
)
def test_words_that_cannot_be_are_one_sentence(tmp_path, capsys, monkeypatch, words, sentence):
    full, broken = tmp_path / "full", tmp_path / "broken.tflite"
    full.mkdir()
    (full / "a").touch()
    broken.write_bytes(b"\x1c\0\0\0TFL3 broken")
    monkeypatch.setattr(page, "put_litert", lambda folder: None)
    places = {"full": full, "new": tmp_path / "new", "broken": broken}
    assert sentence in said(capsys, "page", *(word.format(**places) for word in words))
    assert not (tmp_path / "new").exists()


def test_a_missing_model_is_one_sentence(tmp_path, capsys):
    assert "there is no such run" in said(capsys, "serve", "--model", tmp_path / "none")


def test_a_model_too_large_for_a_browser_is_sent_to_serve(tmp_path):
    check_size(tmp_path, 256, 256)
    with pytest.raises(page.DeployError, match="512 x 256 pixels are too many for a browser"):
        check_size(tmp_path, 256, 512)


def test_a_page_may_be_written_anew_and_nothing_else_is_replaced(tmp_path):
    empty, written = tmp_path / "empty", tmp_path / "written"
    for place in (empty, written):
        place.mkdir()
    (written / page.ABOUT).touch()
    for place in (empty, written, tmp_path / "new"):
        check_page(Page(tmp_path, place))
    (empty / "mine").touch()
    with pytest.raises(page.DeployError, match=r"exists already.* no page, as it holds mine"):
        check_page(Page(tmp_path, empty))


def test_nothing_of_a_persons_is_replaced_with_a_page(tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (site / page.ABOUT).write_text('{"engine": "browser"}')
    (site / "index.html").touch()
    check_page(Page(tmp_path, site))
    for name in ("model.npz", "holiday.jpg", ".git"):
        (site / name).touch()
        with pytest.raises(page.DeployError, match=f"no page, as it holds {name}"):
            check_page(Page(site / "model.npz", site))
        (site / name).unlink()
    for about in ('{"me": "my own site"}', "[]", "none"):
        (site / page.ABOUT).write_text(about)
        with pytest.raises(page.DeployError, match=r"it is no page, as it holds about\.json"):
            check_page(Page(tmp_path, site))
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(page.DeployError, match="exists already"):
        check_page(Page(tmp_path, tmp_path / "link"))


@pytest.fixture
def without_litert(monkeypatch):
    monkeypatch.setattr(page, "put_litert", lambda folder: (folder / "NOTICE.txt").parent.mkdir())


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    """A generator with classes, and the file of its two parts."""
    folder = tmp_path_factory.mktemp("apart")
    made = opened("classes", folder / "model.npz")
    parts.write_parts(program(made), folder / "parts.tflite")
    return made, folder / "parts.tflite"


@converts
def test_the_parts_draw_what_the_generator_draws(apart):
    from ai_edge_litert.interpreter import Interpreter

    from training.explore.model import Model

    made, file = apart
    model, found = Model(made), Interpreter(str(file))
    mapping = found.get_signature_runner("mapping")
    synthesis = found.get_signature_runner("synthesis")
    z, labels = model.latents([5]), model.labels([5], 2)
    w = mapping(z=z, label=np.array([2], np.int32))["w"]
    assert np.allclose(w, model.mapped(z, labels), atol=1e-5)
    ws = np.random.default_rng(0).standard_normal((1, 4, 24)).astype(np.float32)
    for strength in (0.0, 0.5, 2.0):
        maps = [each * strength for each in model.generator.maps("const", 1)]
        own = model.pictures(ws, maps=maps).astype(int)
        drawn = synthesis(ws=ws, noise=np.float32(strength))["images"]
        assert abs(own - drawn).max() <= 1


@converts
@pytest.mark.usefixtures("without_litert")
def test_a_page_has_all_that_it_needs(tmp_path, capsys):
    model = opened("wide", tmp_path / "wide.npz")
    out = tmp_path / "a page"
    words = ["page", f"--model={model.path}", f"--out={out}", f"--teacher={model.path}"]
    assert cli.main(words) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[-1] == f"python3 -m http.server --bind 127.0.0.1 --directory '{out}'"
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [*WEBS, "about.json", "litert", "model.tflite", "teacher"]
    )
    about = json.loads((out / "about.json").read_text())
    assert about["digest"] == model.digest and about["title"] == "wide"
    assert about["sizes"] == [[3, 5], [6, 10], [12, 20]] and about["rows"] == 6
    assert [each["name"] for each in about["directions"]] == ["pca1", "pca2", "pca3", "pca4"]
    assert {len(each["step"]) for each in about["directions"]} == {24} == {len(about["w_avg"])}
    assert about["teacher"] == {"title": "wide", "seeds": list(range(24))}
    with Image.open(out / "teacher" / "7.png") as picture:
        assert picture.size == (20, 12) and picture.text["seed"] == "7"


@pytest.mark.slow
@pytest.mark.usefixtures("without_litert")
def test_a_teacher_of_other_latents_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "write_parts", lambda made, path: path.touch())
    model = opened("grey", tmp_path / "grey.npz")
    other = opened("classes", tmp_path / "classes.npz")
    wanted = Page(model.path, tmp_path / "page", teacher=other.path)
    with pytest.raises(page.DeployError, match="draws from 16 numbers and 3 classes, the model"):
        write_page(wanted)
    assert not (tmp_path / "page").exists()


def one_colour(made, rows, noise=None):
    """Pictures that nobody looks at."""
    channels, size = made.config.channels, made.config.shape.size(made.config.shape.levels)
    return rows[0][:, None, None, :channels] + np.zeros((*size, 1), np.float32)


@converts
def test_files_that_cannot_draw_by_seed_are_refused(apart, tmp_path, monkeypatch):
    from training.deploy.tflite import write_tflite

    made, halves = apart
    monkeypatch.setattr(Program, "synthesized", one_colour)
    files = {name: tmp_path / f"{name}.tflite" for name in ("classes", "w", "fixed")}
    write_tflite(program(made), files["classes"], "")
    write_tflite(program(made, "w"), files["w"], "")
    write_tflite(program(opened("grey", tmp_path / "plain.npz"), psi=0.7), files["fixed"], "")
    told = {"classes": "it has classes", "w": "from w, not from z", "fixed": "its psi is fixed"}
    files["parts"], told["parts"] = halves, "no .tflite that"
    for name, sentence in told.items():
        with pytest.raises(page.DeployError, match=sentence):
            page.shape_of_file(files[name])


@converts
def test_files_of_others_with_the_same_names_are_refused(tmp_path):
    """What a page's program in the browser could not draw with: other shapes, other numbers."""
    foreign = {
        "list": ([1, 8], tf.float32, [], lambda x: tf.cast(x, tf.uint8)),
        "line": ([8], tf.float32, [], lambda x: tf.cast(tf.reshape(x, [1, 2, 4, 1]), tf.uint8)),
        "two": ([1, 8], tf.float32, [], lambda x: tf.cast(tf.reshape(x, [1, 2, 2, 2]), tf.uint8)),
        "floats": ([1, 8], tf.float32, [], lambda x: tf.reshape(x, [1, 2, 4, 1])),
        "whole": ([1, 8], tf.int32, [], lambda x: tf.cast(tf.reshape(x, [1, 2, 4, 1]), tf.uint8)),
        "psis": ([1, 8], tf.float32, [1], lambda x: tf.cast(tf.reshape(x, [1, 2, 4, 1]), tf.uint8)),
    }
    for name, (z, kind, psi, images) in foreign.items():
        file = tmp_path / f"{name}.tflite"
        file.write_bytes(foreign_file(z, kind, psi, images))
        with pytest.raises(page.DeployError, match=f"{name}.tflite: that is no .tflite that `exp"):
            page.shape_of_file(file)


def foreign_file(z, kind, psi, images):
    """A TFLite file whose signature has the names of ours."""

    def serving_default(z, psi):
        moved = tf.cast(z, tf.float32) * psi
        return {"images": images(moved), "float": moved}

    specs = tf.TensorSpec(z, kind, "z"), tf.TensorSpec(psi, tf.float32, "psi")
    module = tf.Module()
    module.draw = tf.function(serving_default, input_signature=specs, autograph=False)
    made = module.draw.get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([made], module).convert()


@pytest.mark.parametrize(
    ("ends", "sentence"),
    [("import os; os.abort()", "it was killed"), ("1 / 0", "ZeroDivisionError: division by zero")],
)
def test_a_file_that_ends_the_process_that_draws_is_refused(tmp_path, monkeypatch, ends, sentence):
    script = tmp_path / "dies.py"
    script.write_text(ends)
    monkeypatch.setattr(standalone, "__file__", str(script))
    told = rf"a.tflite: it draws nothing \({sentence}\): name the model that it was exported"
    with pytest.raises(page.DeployError, match=told):
        page.check_drawing(tmp_path / "a.tflite", 4)


def test_a_file_is_taken_for_tflite_by_what_is_in_it(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "put_litert", lambda folder: None)
    for name in ("a.TFLITE", "a", "b.tflite"):
        (tmp_path / name).write_bytes(b"\x1c\0\0\0TFL3 and no more")
        with pytest.raises(page.DeployError, match=page.NOT_OURS):
            write_page(Page(tmp_path / name, tmp_path / "page"))
    for data in (b"", b"broken", bytes(100)):
        (tmp_path / "b.tflite").write_bytes(data)
        with pytest.raises(page.DeployError, match=f"{page.NOT_OURS}: {page.WANTED}"):
            write_page(Page(tmp_path / "b.tflite", tmp_path / "page"))
    (tmp_path / "b.tflite").write_bytes(b"<!doctype html>")
    with pytest.raises(NetworkFileError, match=r"b\.tflite is a web page"):
        write_page(Page(tmp_path / "b.tflite", tmp_path / "page"))
    model = small_model(tmp_path / "small.npz", "rgb").rename(tmp_path / "small.tflite")
    monkeypatch.setattr(page, "write_apart", lambda *_: ({"whole": False}, ["a model"]))
    assert write_page(Page(model, tmp_path / "page")) == ["a model"]
