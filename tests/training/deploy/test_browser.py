"""The page in a real browser: real clicks, and the pictures that Python draws."""

import functools
import io
import re
import signal
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from tests.kit import chromium
from tests.kit.commands import heard_by_default
from tests.kit.made_generators import opened
from tests.kit.store import ROOT
from training.deploy import litert
from training.deploy.page import TEACHER_SEEDS, Page, write_page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not chromium.FOUND, reason="there is no Chromium here to show a page"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of converters
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
MODELS = {name: ROOT / "recipes" / "models" / f"{name}.npz" for name in ("faces", "digits")}
CLOSE = 2  # levels of 255
SETTLED = "document.documentElement.dataset.settled"
CANVAS = """(() => {
  const c = document.querySelector('%s');
  const data = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  return [c.height, c.width, ...data];
})()"""


class Quiet(SimpleHTTPRequestHandler):
    """What `python -m http.server` is, without a line a request."""

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def shown(folder):
    """Pages, each with its address; LiteRT.js comes from npm or from its cache."""
    from training.deploy.program import program
    from training.deploy.tflite import write_tflite
    from training.explore.directions import find, save_directions

    try:
        for package in litert.PACKAGES:
            litert.kept(package)
    except (litert.DeployError, litert.FetchError) as error:
        pytest.skip(str(error))
    faces = python_model("faces")
    found = find(faces, "sefa", range(2), 2)
    save_directions(folder / "directions.npz", found, faces.opened.digest)
    whole = folder / "whole.tflite"
    write_tflite(program(faces.opened), whole, "")
    pages = {
        "faces": Page(MODELS["faces"], folder / "faces", folder / "directions.npz"),
        "digits": Page(MODELS["digits"], folder / "digits", teacher=MODELS["digits"]),
        "whole": Page(whole, folder / "whole"),
    }
    clear = opened("student", folder / "clear.npz", channels=4)
    pages["clear"] = Page(clear.path, folder / "clear")
    for page in pages.values():
        assert write_page(page) == []
    handler = functools.partial(Quiet, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {name: f"http://127.0.0.1:{server.server_port}/{name}/" for name in pages}
        server.shutdown()


@pytest.fixture(scope="module")
def window(folder):
    with chromium.browser(folder / "browser") as found:
        yield found


@pytest.fixture
def browser(window):
    """A window as on a desk; at the end nothing in it has gone wrong."""
    window.screen(1280, 860)
    window.said.clear()
    yield window
    assert window.said == []


@functools.cache
def python_model(name):
    from training.explore.model import open_model

    return open_model(MODELS[name])


def look(**given):
    from training.explore.asked import Look

    return Look(**{"psi": 0.7, **given})


def drawn(name, seed, asked=None, ws=None):
    """Python's picture as RGB."""
    model = python_model(name)
    ws = model.styles([seed], asked or look()) if ws is None else ws
    pixels = model.pictures(ws)[0].astype(int)
    return pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2)


def settled(browser):
    """Wait until everything is drawn."""
    return browser.until(SETTLED)


def seen(browser, selector="#picture"):
    """What is on a canvas, as RGB, once everything is drawn."""
    return seen_through(browser, selector)[..., :3]


def seen_through(browser, selector="#picture"):
    """The same with its alpha."""
    settled(browser)
    height, width, *data = browser.ask(CANVAS % selector)
    return np.array(data).reshape(height, width, 4)


def value(browser, name):
    """What a slider says beside it."""
    selector = f"document.querySelector('#slider-{name}').parentElement"
    return float(
        browser.ask(f"{selector}.querySelector('output').textContent").replace("\u2212", "-")
    )


def near(one, other):
    return int(abs(one - other).max()) <= CLOSE


def test_a_seed_draws_what_python_draws_on_any_static_server(browser, shown):
    browser.open(shown["faces"])
    assert near(seen(browser), drawn("faces", 0))
    assert browser.ask("crossOriginIsolated") is False
    assert browser.ask("typeof SharedArrayBuffer") == "undefined"
    browser.click("#after")
    assert near(seen(browser), drawn("faces", 1))
    for seed in (4000000007, 12):
        browser.write("#seed", str(seed))
        assert near(seen(browser), drawn("faces", seed))
    assert browser.ask("location.hash") == "#seed=12"
    thumbnail = seen(browser, "#strip button:nth-child(5) canvas")
    assert near(thumbnail, drawn("faces", 14))
    browser.click("#strip button:nth-child(5)")
    assert near(seen(browser), thumbnail)
    origins = browser.ask(
        "[...new Set(performance.getEntriesByType('resource').map((e) => new URL(e.name).origin))]"
    )
    assert origins == [browser.ask("location.origin")]


def test_sliders_and_chips_do_what_the_commands_do(browser, shown, folder):
    from training.explore.asked import rows_of
    from training.explore.directions import moves

    model = python_model("faces")
    browser.open("about:blank")
    browser.open(f"{shown['faces']}#seed=3")
    before = seen(browser)
    browser.click("#slider-Truncation", share=0.9)
    psi = value(browser, "Truncation")
    assert psi == pytest.approx(1.25, abs=0.1)
    assert near(seen(browser), drawn("faces", 3, look(psi=psi)))
    assert not near(seen(browser), before)
    browser.click("#levels button:nth-child(3)")
    browser.click("#levels button:nth-child(4)")
    browser.write("#other", "8")
    ws, other = model.styles([3], look(psi=psi)), model.styles([8], look(psi=psi))
    ws[:, rows_of([2, 3], model.top)] = other[:, rows_of([2, 3], model.top)]
    assert near(seen(browser), drawn("faces", 3, ws=ws))
    assert not near(seen(browser), drawn("faces", 3, look(psi=psi)))
    assert near(seen(browser, "#other-picture"), drawn("faces", 8, look(psi=psi)))
    browser.click("#reset")
    assert near(seen(browser), before)
    browser.click("#slider-sefa2", share=0.2)
    amount = value(browser, "sefa2")
    assert -3.5 < amount < -2
    steps, _ = moves(model, folder / "directions.npz", {"sefa2": amount})
    assert near(seen(browser), drawn("faces", 3, look(moves=steps)))
    assert not near(seen(browser), before)


def test_noise_is_the_models_own_as_strong_as_asked(browser, shown):
    model = python_model("faces")
    browser.open("about:blank")
    browser.open(f"{shown['faces']}#seed=3")
    before = seen(browser)
    browser.click("#slider-Noise", share=0.005)
    assert value(browser, "Noise") < 0.05
    maps = [each * value(browser, "Noise") for each in model.generator.maps("const", 1)]
    own = model.pictures(model.styles([3], look()), maps=maps)[0].astype(int)
    assert near(seen(browser), own) and (seen(browser) != before).any()


def test_a_walk_moves_in_real_time(browser, shown, capsys):
    browser.open("about:blank")
    browser.open(f"{shown['faces']}#seed=5")
    before = seen(browser)
    browser.click("#walk")
    rate = browser.until("document.querySelector('#rate').textContent")
    browser.click("#walk")
    assert (seen(browser) != before).any()
    assert re.search(r"seed=[5-9]&at=0\.\d+", browser.ask("location.hash"))
    figure = float(rate.split()[0])
    with capsys.disabled():
        print(f"\nfaces, 64 px, one thread of WebAssembly: {rate}")
    assert figure > 5  # a machine that tests share; benchmarks say what it can be


def test_keys_move_and_save(browser, shown):
    browser.open("about:blank")
    browser.open(f"{shown['faces']}#seed=7")
    settled(browser)
    browser.press("ArrowRight", number=39)
    assert settled(browser) == "seed=8"
    browser.press("ArrowLeft", number=37)
    assert settled(browser) == "seed=7"
    browser.press(" ", code="Space", number=32)
    browser.until("document.querySelector('#walk').getAttribute('aria-pressed') === 'true'")
    browser.press(" ", code="Space", number=32)
    browser.press("0")
    browser.press("r")
    assert settled(browser) != "seed=7"
    browser.write("#seed", "9")
    assert settled(browser) == "seed=9"
    browser.press("s")
    saved = browser.downloads / "faces-seed0009.png"
    picture = Image.open(io.BytesIO(chromium.whole(saved)))
    assert picture.size == (64, 64)
    assert near(np.asarray(picture.convert("RGB")).astype(int), drawn("faces", 9))
    digest = python_model("faces").opened.digest
    assert picture.text == {"model": digest, "seed": "9", "psi": "0.7"}


def test_fingers_and_a_narrow_screen(browser, shown):
    browser.screen(390, 844, phone=True)
    browser.open("about:blank")
    browser.open(f"{shown['faces']}#seed=7")
    settled(browser)
    assert browser.ask("document.documentElement.scrollWidth") <= 390
    browser.tap("#levels button:nth-child(1)")
    browser.until(f"{SETTLED} === 'seed=7&with=1&levels=0'")
    browser.tap("#frame")
    browser.until("document.querySelector('#walk').getAttribute('aria-pressed') === 'true'")
    browser.tap("#walk")
    assert settled(browser).endswith("with=1&levels=0")
    browser.tap("#frame", swipe=-120)
    browser.until(f"/^seed=[0-9]+&with/.test({SETTLED})")  # a whole seed again


def test_classes_are_drawn_by_the_seed_or_chosen_and_a_teacher_beside(browser, shown, folder):
    browser.open(shown["digits"])
    for seed in (0, 3):
        browser.write("#seed", str(seed))
        assert near(seen(browser), drawn("digits", seed))
        teacher = browser.until(
            "document.querySelector('#teacher-picture').complete &&"
            " document.querySelector('#teacher-picture').naturalWidth"
        )
        assert teacher == 32
        assert browser.ask("document.querySelector('#teacher-picture').src").endswith(
            f"/{seed}.png"
        )
    browser.ask("document.querySelector('#class').focus()")
    browser.press("7")
    assert near(seen(browser), drawn("digits", 3, look(label=7)))
    assert browser.ask("document.querySelector('#teacher-picture').hidden")
    assert len(list((folder / "digits" / "teacher").iterdir())) == len(TEACHER_SEEDS)


def test_a_file_of_export_draws_by_seed_and_truncation(browser, shown):
    browser.open(f"{shown['whole']}#seed=4")
    assert near(seen(browser), drawn("faces", 4))
    browser.click("#slider-Truncation", share=0.5)
    psi = value(browser, "Truncation")
    assert near(seen(browser), drawn("faces", 4, look(psi=psi)))
    assert browser.ask("[...document.querySelectorAll('#mix, #directions')].every((e) => e.hidden)")
    browser.click("#walk")
    browser.until("document.querySelector('#rate').textContent")
    browser.click("#walk")
    settled(browser)


def test_a_student_that_is_seen_through_not_square_and_with_classes(browser, shown, folder):
    from training.explore.model import open_model

    browser.open(shown["clear"])
    model = open_model(folder / "clear.npz")
    for seed in (0, 6):
        browser.write("#seed", str(seed))
        own = model.pictures(model.styles([seed], look()))[0].astype(int)
        assert own.shape == (16, 24, 4)
        found = seen_through(browser)
        alpha = own[..., 3:]
        assert 0 < alpha.mean() < 255 and near(found[..., 3:], alpha)
        # a canvas keeps colours times alpha, in whole levels
        assert near(found[..., :3] * found[..., 3:] / 255, own[..., :3] * alpha / 255)


def test_the_draws_of_seeds_are_numpys(browser, shown):
    browser.open(shown["faces"])
    seeds = [0, 1, 2, 77, 2**31, 2**32 - 1]
    ask = f"import('./seeds.js').then((m) => {seeds}.map((s) => [...m.latent(s, 33)]))"
    own = [np.random.RandomState(seed).randn(33).astype(np.float32) for seed in seeds]
    assert np.array_equal(np.array(browser.ask(ask), np.float32), own)
    classes = [1, 2, 3, 10, 1000]
    ask = f"{seeds}.map((s) => {classes}.map((c) => m.drawnClass(s, c)))"
    found = browser.ask(f"import('./seeds.js').then((m) => {ask})")
    assert found == [[np.random.default_rng(s).integers(c) for c in classes] for s in seeds]


@pytest.mark.parametrize(
    ("before", "sentence"),
    [
        ("delete window.WebAssembly", "This browser has no WebAssembly, in which the model would"),
        ("HTMLScriptElement.supports = () => false", "This browser is too old to load the model"),
        ("window.fetch = async () => ({ok: false})", "about.json is not there"),
    ],
)
def test_a_browser_that_cannot_draw_gets_a_sentence(browser, shown, before, sentence):
    script = browser.call("Page.addScriptToEvaluateOnNewDocument", source=before)["identifier"]
    browser.open(shown["faces"])
    browser.until("!document.querySelector('#sentence').hidden", 20)
    assert sentence in browser.ask("document.querySelector('#sentence').textContent")
    browser.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
    browser.said.clear()


def test_a_program_on_this_machine_serves_the_same_page(browser, folder):
    from training.explore.model import open_model

    path = opened("wide", folder / "wide.npz").path
    line = [sys.executable, "-m", "training", "serve", "--model", str(path), "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(line, cwd=ROOT, preexec_fn=heard_by_default, **pipes) as server:
        told = server.stdout.readline().decode()
        browser.open(re.search(r"http://\S+", told)[0])
        model = open_model(path)
        own = model.pictures(model.styles([0], look()))[0].astype(int)
        assert own.shape == (12, 20, 3) and near(seen(browser), own)
        browser.press("ArrowRight", number=39)
        own = model.pictures(model.styles([1], look()))[0].astype(int)
        assert near(seen(browser), own)
        browser.open("about:blank")
        server.send_signal(signal.SIGINT)
        try:
            assert server.wait(timeout=60) == 0
        finally:
            server.kill()
        assert "Traceback" not in server.stderr.read().decode()
