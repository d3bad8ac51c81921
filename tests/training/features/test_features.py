"""The features process: what it answers, how it ends, and what it says when it cannot go on."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from training.features import client
from training.features.client import Extractor, FeaturesError, Lessons, Net

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.slow  # processes with torch


def lessons(count=80):
    """Dark and bright pictures, 8 x 8."""
    rng = np.random.default_rng(0)
    classes = [number % 2 for number in range(count)]
    made = [rng.integers(128 * c, 128 * c + 128, (8, 8, 1), dtype=np.uint8) for c in classes]
    return Lessons(
        (8, 8), 2, [(made[i : i + 16], classes[i : i + 16]) for i in range(0, count, 16)]
    )


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return Net("classifier", str(tmp_path_factory.mktemp("net") / "classifier.pt"), "cpu", 1)


@pytest.fixture(scope="module")
def network(net):
    """A classifier that was taught in its own process, for who needs one that lives."""
    with Extractor(net, lessons()) as taught:
        assert taught.taught["held_out_accuracy"] == 1
        place = Path(net.weights).with_suffix(".json")
        assert json.loads(place.read_text()) == taught.taught
        assert (taught.label, taught.dims, taught.device) == ("classifier", 128, "cpu")
        yield taught


def test_features_do_not_depend_on_the_messages(network):
    pictures = [picture for batch, _ in lessons().batches for picture in batch][:10]
    pictures[3] = np.full((20, 9, 3), 200, np.uint8)
    (whole,) = network.stream([pictures])
    parts = list(network.stream([pictures[:4], pictures[4:]]))
    assert list(network.stream([])) == []
    np.testing.assert_allclose(whole.features, [f for p in parts for f in p.features], rtol=1e-4)
    assert list(whole.classes[:3]) == [0, 1, 0] and whole.classes[3] == 1


def test_transparent_pictures_are_seen_on_white(network):
    clear = np.full((8, 8, 4), (0, 0, 0, 0), np.uint8)
    half = np.full((8, 8, 4), (100, 100, 100, 128), np.uint8)
    plain = [np.full((8, 8, 3), level, np.uint8) for level in (255, 177)]
    found, expected = network.stream([[clear, half], plain])
    np.testing.assert_allclose(found.features, expected.features, rtol=1e-6)


def test_a_classifier_does_without_torchvision(network):
    """Which takes as long to load as torch does."""
    loaded = Path(f"/proc/{network.process.pid}/maps").read_text()
    assert "libtorch" in loaded and "torchvision" not in loaded


@pytest.mark.usefixtures("network")
def test_a_killed_process_is_one_sentence(net):
    batch = [np.zeros((8, 8, 1), np.uint8)]
    with Extractor(net) as network, pytest.raises(FeaturesError) as error:
        for number, _ in enumerate(network.stream([batch] * 100)):
            if number == 2:
                network.process.kill()
    assert str(error.value).startswith("the features process ended with code -9: ")
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("network")
def test_it_ends_with_its_parent(net):
    script = (
        "import os, sys\n"
        "from training.features.client import Extractor, Net\n"
        "child = Extractor(Net('classifier', sys.argv[1], 'cpu', 1))\n"
        "print(child.process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    line = [sys.executable, "-c", script, net.weights]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    pid = int(done.stdout)
    for _ in range(1200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().split()[2]
        except FileNotFoundError:
            return
        if state == "Z":  # nobody waits for it here
            return
        time.sleep(0.1)
    os.kill(pid, 9)
    pytest.fail("the features process outlived its parent")


def test_what_it_cannot_load_is_said(tmp_path):
    broken = tmp_path / "classifier.pt"
    broken.write_bytes(b"nothing")
    with pytest.raises(FeaturesError, match=f"{broken} is no whole classifier: delete it"):
        Extractor(Net("classifier", str(broken)))
    with pytest.raises(FeaturesError, match=f"{tmp_path}/gone.pt"):  # an OSError, as of a network
        Extractor(Net("classifier", f"{tmp_path}/gone.pt"))


def test_no_message_is_too_large():
    large = np.zeros((4000, 4000, 3), np.uint8)
    small = np.zeros((2, 2, 3), np.uint8)
    sizes = [len(batch) for batch in client.batched([large, large, small, large, *[small] * 40])]
    assert sizes == [1, 2, 32, 9]
