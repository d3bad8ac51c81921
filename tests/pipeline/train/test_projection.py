"""`python -m pipeline project`: the portrait as the dataset would have it, then the child."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from pipeline import cli
from pipeline.options import SettingsError
from pipeline.train import child, projection
from tests.kit.commands import heard_by_default, run_here
from tests.kit.small_models import small_model
from tests.kit.store import BrightFace, photo, save, set_options
from training.exchange.described import describe_model


@pytest.fixture
def here(monkeypatch):
    """The detector of made photos, in this process."""
    monkeypatch.setattr(projection.processes, "run_apart", run_here)
    monkeypatch.setattr(projection.detect, "load", lambda spec, min_face: BrightFace())
    set_options(Detect_detector="haar", Crop_min_face=16)


@pytest.mark.parametrize("kind", ["rgb", "grey", "rgba", "not square"])
def test_a_portrait_has_the_models_form(tmp_path, here, kind):
    path = save(tmp_path / "photo.png", photo(1, faces=((60, 50, 20),)))
    form = describe_model(small_model(tmp_path / "m.npz", kind)).config
    cut = projection.portrait_of(path or tmp_path / "photo.png", form)
    (tmp_path / "cut.png").write_bytes(cut.picture)
    with Image.open(tmp_path / "cut.png") as image:
        assert image.size == (form.width, form.height)
        assert len(image.getbands()) == form.channels
        assert np.asarray(image).max() > 200  # the face is in it
    assert cut.faces == 1 and cut.face is not None


def test_of_several_faces_the_largest_is_taken_and_said(tmp_path, here, capsys, monkeypatch):
    save(tmp_path / "photo.png", photo(1, faces=((20, 40, 20), (90, 40, 32))))
    model, out = small_model(tmp_path / "m.npz", "conditional"), tmp_path / "found.png"
    told = []
    monkeypatch.setattr(child, "attended", lambda line: told.append(line) or 0)
    words = ["project", tmp_path / "photo.png", "--model", model, "--out", out, "--steps=7"]
    assert cli.main([*map(str, words), "--label=2"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("2 faces: the largest is taken, 3") and " at 9" in said[0]
    assert said[1] == str(tmp_path / "found-portrait.png")
    (line,) = told
    assert line[line.index("training") :] == [
        "training",
        "project",
        f"--model={model}",
        f"--photo={tmp_path / 'found-portrait.png'}",
        f"--out={out}",
        "--space=w",
        "--steps=7",
        "--label=2",
    ]


def test_a_photo_without_a_portrait_is_one_sentence(tmp_path, here):
    form = describe_model(small_model(tmp_path / "m.npz", "rgb")).config
    save(tmp_path / "scene.png", photo(1, faces=()))
    save(tmp_path / "small.png", photo(1, faces=((60, 50, 9),)))
    (tmp_path / "text.png").write_text("no picture")
    for name, reason in (
        ("scene", r"no face \(haar\): name another photo, or change \[Detect\] min_face"),
        ("small", r"face too small: \d+ pixels \(haar\)"),
        ("text", "content is no picture in a known format: name another photo$"),
    ):
        with pytest.raises(SettingsError, match=rf"^photo = {tmp_path}/{name}\.png: {reason}"):
            projection.portrait_of(tmp_path / f"{name}.png", form)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["/nowhere.jpg"], "photo = /nowhere.jpg: there is no such file"),
        (["{photo}", "--model=/nowhere"], "model = /nowhere: there is no such run or checkpoint"),
        (["{photo}", "--out=a.exe"], "out = a.exe: name a file that ends with .png or .jpg"),
        (["{photo}", "--label=3"], "label = 3: this model has 0 classes: leave it out"),
        (["{photo}", "--vgg=/nowhere.h5"], "vgg = /nowhere.h5: there is no such file; leave it"),
        (["{photo}", "--out=/proc/x/a.png"], "out = /proc/x: that is no folder one can write to"),
    ],
)
def test_what_cannot_be_is_one_sentence_before_all_work(
    tmp_path, here, capsys, monkeypatch, words, sentence
):
    monkeypatch.setattr(projection, "portrait_of", lambda *_: pytest.fail("looked for faces"))
    save(tmp_path / "photo.png", photo(1))
    model = small_model(tmp_path / "m.npz", "rgb")
    given = [word.format(photo=tmp_path / "photo.png") for word in words]
    own = [] if "--model" in " ".join(words) else [f"--model={model}"]
    own += [] if "--out" in " ".join(words) else [f"--out={tmp_path / 'o.png'}"]
    assert cli.main(["project", *given, *own]) == 2
    out, error = capsys.readouterr()
    assert not out and error.startswith(f"error: {sentence}") and error.count("\n") == 1


ATTENDS = """
import sys
from atelier.commands import answered
from pipeline.train import child
SLOWLY
sys.exit(answered(lambda: child.attended([sys.executable, "-c", sys.argv[1]]), "stopped"))
"""
SLOWLY = """
import time
from contextlib import contextmanager
@contextmanager
def slowly(*_, forwarding=child.forwarding):
    time.sleep(1)
    with forwarding(*_) as received:
        yield received
child.forwarding = slowly
"""
WAITS = """
import signal, sys, time
def end(*_):
    print("ended", flush=True)
    sys.exit(130)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("slowly", ["", SLOWLY], ids=["", "before it is passed on"])
def test_a_signal_reaches_what_is_attended(number, slowly):
    line = [sys.executable, "-c", ATTENDS.replace("SLOWLY", slowly), WAITS]
    with subprocess.Popen(
        line, preexec_fn=heard_by_default, stdout=subprocess.PIPE, text=True
    ) as one:
        assert one.stdout.readline() == "ready\n"
        one.send_signal(number)
        began = time.monotonic()
        assert one.stdout.readline() == "ended\n"
        assert one.wait() == 130 and time.monotonic() - began < 20
