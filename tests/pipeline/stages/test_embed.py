"""Embed and Trim as units of work, with a stand-in for the network of `test_inception.py`."""

import numpy as np
import pytest
from PIL import Image

from atelier.boxes import Box
from pipeline.options import SettingsError
from pipeline.photos.folder import SourceChangedError
from pipeline.rows.manifest import Item, Row
from pipeline.stages import embed
from pipeline.stages.embed import EmbedConfig


class MeanColour:
    """Stands for Inception: three numbers a picture; remembers how many it was given at a time."""

    batch = 4

    def __init__(self):
        self.given = []

    def __call__(self, pictures):
        found = [picture.mean(axis=(0, 1)) for picture in pictures]
        self.given.append(len(found))
        return np.array(found, np.float32).reshape(-1, 3)


@pytest.fixture
def network(monkeypatch):
    stand_in = MeanColour()
    monkeypatch.setattr(embed, "load_inception", lambda *_: stand_in)
    return stand_in


def item(folder, name, pixels, rectangle=None):
    path = folder / f"{name}.png"
    Image.fromarray(pixels).save(path)
    height, width, _ = pixels.shape
    return Item(f"key-{name}", Row(id=name, width=width, height=height, rectangle=rectangle), path)


def flat(colour, size=(20, 30)):
    return np.full((*size, 3), colour, np.uint8)


def test_each_row_gets_the_features_of_its_rectangle_in_order(tmp_path, network):
    items = []
    for number in range(6):
        pixels = flat(255)
        pixels[5:10, 8:20] = number
        items.append(item(tmp_path, str(number), pixels, Box(8, 5, 20, 10)))
    done = list(embed.embed(items, EmbedConfig(), tmp_path))
    for number, [row] in enumerate(done):
        assert row.embedding == f"key-{number}" and row.drop is None
        np.testing.assert_array_equal(np.frombuffer(row.features, np.float32), [number] * 3)
    assert network.given == [4, 2]


def test_a_broken_photo_is_dropped_and_its_neighbours_stay(tmp_path, network):
    items = [item(tmp_path, str(number), flat(number)) for number in range(5)]
    items[1].path.write_bytes(items[1].path.read_bytes()[:60])
    done = [row for [row] in embed.embed(items, EmbedConfig(), tmp_path)]
    assert [row.drop is None for row in done] == [True, False, True, True, True]
    assert done[1].drop.startswith("broken file: ") and not done[1].features
    assert np.frombuffer(done[2].features, np.float32)[0] == 2


def test_a_photo_that_is_gone_is_no_drop(tmp_path, network):
    gone = item(tmp_path, "gone", flat(0))
    gone.path.unlink()
    with pytest.raises(SourceChangedError, match="vanished while this ran"):
        list(embed.embed([gone], EmbedConfig(), tmp_path))


def trimmed(folder, pixels):
    [[row]] = embed.trim([item(folder, "reference", pixels)], None, folder)
    return row


def noise(height, width):
    return np.random.default_rng(1).integers(0, 200, (height, width, 3), dtype=np.uint8)


def test_a_reference_picture_is_taken_whole(tmp_path):
    assert trimmed(tmp_path, noise(40, 30)).rectangle == Box(0, 0, 30, 40)


def test_borders_are_trimmed_each_of_its_own_colour(tmp_path):
    pixels = flat(255, (60, 50))
    pixels[:52, :7] = (10, 0, 0)
    pixels[:4] = (0, 90, 0)
    pixels[4:52, 7:44] = noise(48, 37)
    assert trimmed(tmp_path, pixels).rectangle == Box(7, 4, 44, 52)


def test_a_border_may_be_a_little_uneven_as_jpeg_makes_it(tmp_path):
    pixels = flat(250, (60, 50)) + np.random.default_rng(2).integers(0, 5, (60, 50, 1), np.uint8)
    pixels[10:50, 10:40] = noise(40, 30)
    assert trimmed(tmp_path, pixels).rectangle == Box(10, 10, 40, 50)


def test_a_picture_of_one_colour_is_dropped(tmp_path):
    assert trimmed(tmp_path, flat(77)).drop == "blank: all of one colour"


def test_settings_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"\[Embed\] dims = 100: choose one of 64, 192, 768,"):
        EmbedConfig(dims=100)
    with pytest.raises(SettingsError, match="weights = '/no/file': there is no such file"):
        EmbedConfig(weights="/no/file")


@pytest.mark.slow
def test_weights_are_checked_without_torch_in_this_process(tmp_path):
    import sys

    before = "torch" in sys.modules
    path = tmp_path / "text.pth"
    path.write_text("not weights")
    with pytest.raises(SettingsError, match="holds no weights of pytorch-fid's Inception"):
        embed.check_weights(EmbedConfig(weights=str(path)))
    assert ("torch" in sys.modules) == before


@pytest.mark.parametrize(
    ("dtype", "device", "emulates", "told"),
    [
        ("bfloat16", "cpu", True, True),
        ("bfloat16", "cuda", True, False),
        ("bfloat16", "cpu", False, False),
        ("float32", "cpu", True, False),
    ],
)
def test_what_a_processor_is_slow_at_is_said_before(
    monkeypatch, capsys, dtype, device, emulates, told
):
    monkeypatch.setattr(embed.processes, "run_apart", lambda *_: device)
    monkeypatch.setattr(embed.startup, "emulates_bfloat16", lambda: emulates)
    embed.check_weights(EmbedConfig(dtype=dtype))
    assert capsys.readouterr().out.startswith("[Embed] dtype = bfloat16: this processor") == told
