"""The generators in recipes/models are what their cards say, and draw."""

import hashlib
import json
import re

import numpy as np
import pytest

from tests.kit.house import ROOT
from training.exchange.opening import open_generator
from training.run import grids
from training.sampler import Sampler

FOLDER = ROOT / "recipes" / "models"
MODELS = [
    ("digits", (32, 32, 1)),
    ("digits-student", (32, 32, 1)),
    ("faces", (64, 64, 3)),
    ("faces-student", (64, 64, 3)),
]
every_model = pytest.mark.parametrize(
    "name", ["digits", "digits-student", "faces", "faces-student"]
)


def card(name):
    return (FOLDER / f"{name}.md").read_text()


def sheet(generator, count=8):
    z = grids.seeded_latents(range(count), generator.config.z_dim)
    labels = grids.seeded_labels(range(count), generator.config.labels)
    return Sampler(generator)(z, labels, 0.7)


def test_every_model_has_its_card():
    models, cards = ({path.stem for path in FOLDER.glob(f"*.{end}")} for end in ("npz", "md"))
    assert models == cards == {"digits", "digits-student", "faces", "faces-student"}


@every_model
def test_a_model_is_small_and_its_card_names_it(name):
    path = FOLDER / f"{name}.npz"
    assert path.stat().st_size <= 4 * 2**20
    with np.load(path) as file:
        assert {file[key].dtype for key in file.files} == {np.dtype("f2"), np.dtype("u1")}
        about = json.loads(file["about"].tobytes())
    text = card(name)
    assert hashlib.sha256(path.read_bytes()).hexdigest() in text
    assert about["key"] in text and re.search(rf"\b{about['seen'] / 1000:g} kimg\b", text)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "shape"), MODELS)
def test_a_model_draws_pictures_that_differ(name, shape):
    pictures = sheet(open_generator(FOLDER / f"{name}.npz").network())
    assert pictures.shape == (8, *shape)
    assert pictures.astype(float).std(axis=0).mean() > 10  # between pictures
    assert all(picture.std() > 30 for picture in pictures)  # within each


@pytest.mark.slow
def test_the_digit_that_is_asked_for_is_another_picture():
    generator = open_generator(FOLDER / "digits.npz").network()
    assert generator.config.labels == 10
    z = np.repeat(grids.seeded_latents([7], generator.config.z_dim), 10, axis=0)
    pictures = Sampler(generator)(z, np.eye(10, dtype=np.float32), 0.7).astype(float)
    apart = np.abs(pictures[:, None] - pictures[None]).mean(axis=(2, 3, 4))
    assert apart[~np.eye(10, dtype=bool)].min() > 5
