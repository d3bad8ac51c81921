"""The parts of a training: options, examples, samples, targets."""

import io
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image, ImageCms

from atelier import pictures
from detectors import labelmap
from detectors.annotations import AnnotationError
from detectors.learning import Example, augment, batches, examples, learner, records
from detectors.learning.augment import Sample
from detectors.learning.batches import Batches
from detectors.learning.examples import apart, gather, pixels_of, split
from detectors.learning.options import LearningConfig, LearningError
from detectors.learning.targets import IGNORED, target
from tests.kit.learning import COLOURS, config, dataset, picture

QUIET = {"flip": False, "zoom": 0, "colour": 0, "mosaic": 0, "erase": 0}


def made(name, origin=None):
    return Example(
        name, b"", 4, 4, np.zeros((1, 4), np.float32), np.zeros(1, np.int32), origin or name
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"size": 100}, "size = 100: give a multiple of 32, as 96"),
        ({"size": 32}, "size = 32: give a value between 64 and 640"),
        ({"epochs": "many"}, "epochs = 'many': give a whole number"),
        ({"backbone": "resnet"}, "backbone = 'resnet': choose one of mobilenetv2"),
        ({"alpha": 0.4}, "alpha = 0.4: mobilenetv2 has ImageNet weights for 0.35, 0.5"),
        ({"patience": -1}, "patience = -1: give a value of at least 0"),
        ({"seed": 2**32}, "seed = 4294967296: give a value between 0 and 4294967295"),
        ({"flip": "maybe"}, "flip = 'maybe': give true or false"),
    ],
)
def test_a_wrong_option_is_one_sentence(given, said):
    with pytest.raises(LearningError) as refused:
        LearningConfig(**given)
    assert str(refused.value).startswith(said)


def test_every_option_has_a_sentence():
    for option in fields(LearningConfig):
        assert option.metadata["help"]


@pytest.mark.parametrize("csv", [True, False])
def test_labels_become_examples(tmp_path, csv):
    labels, pictures = dataset(tmp_path, 5, two=True, csv=csv)
    said = []
    found, classes = gather(labels, str(pictures), (), 48, said.append)
    assert (classes, said) == (["blue", "red"], [])
    assert [len(each.boxes) for each in found] == [1, 2, 1, 0, 1]
    assert {(each.width, each.height) for each in found} == {(48, 36)}
    _, (red, _) = picture(1, ("red", "blue"))
    np.testing.assert_allclose(found[1].boxes[0] * [96, 72, 96, 72], red.box, atol=1e-4)
    assert found[1].classes.tolist() == [1, 0]


def test_photos_are_upright_rgb_on_white(tmp_path):
    pixels = np.zeros((8, 4, 4), np.uint8)
    pixels[:4] = 255, 0, 0, 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = pixels_of((tmp_path / "a.png").read_bytes(), "a.png")
    assert found[0, 0].tolist() == [255, 0, 0]
    assert found[7, 0].tolist() == [255, 255, 255]
    turned = Image.fromarray(np.zeros((8, 4, 3), np.uint8))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "b.jpg", exif=exif)
    assert pixels_of((tmp_path / "b.jpg").read_bytes(), "b.jpg").shape == (4, 8, 3)
    with pytest.raises(LearningError, match=r"c.jpg cannot be opened .*; take it out"):
        pixels_of(b"no picture", "c.jpg")


def test_photos_look_as_the_pipeline_sees_them(tmp_path):
    Image.fromarray(np.uint16([[0, 257 * 100], [257 * 200, 65535]])).save(tmp_path / "wide.png")
    Image.new("RGB", (40, 20), (200, 20, 20)).save(tmp_path / "a.heic", quality=90)
    for name in ("wide.png", "a.heic"):
        data = (tmp_path / name).read_bytes()
        np.testing.assert_array_equal(pixels_of(data, name), pictures.decode(data))


def test_colours_are_those_that_the_profile_means():
    """Of a profile in which what is called red is green."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace(b"\0s\0R\0G", b"\0X\0X\0X")  # its description says sRGB
    for one, other in ((b"rXYZ", b"swap"), (b"gXYZ", b"rXYZ"), (b"swap", b"gXYZ")):
        profile = profile.replace(one, other)
    file = io.BytesIO()
    Image.new("RGB", (4, 4), (250, 5, 5)).save(file, "PNG", icc_profile=profile)
    red, green, _ = pixels_of(file.getvalue(), "a.png")[0, 0]
    assert green > 200 > 60 > red


def test_a_photo_of_too_many_pixels_is_one_sentence(monkeypatch):
    file = io.BytesIO()
    Image.new("RGB", (40, 40)).save(file, "PNG")
    monkeypatch.setattr(examples, "PIXEL_LIMIT", 100)
    said = r"c.png cannot be opened \(too many pixels: 40 x 40, .*; take it out"
    with pytest.raises(LearningError, match=said):
        pixels_of(file.getvalue(), "c.png")


def test_bad_labels_are_one_sentence_each(tmp_path):
    labels, pictures = dataset(tmp_path, 5)
    header, *lines = labels.read_text().splitlines()
    missing = tmp_path / "missing.csv"
    missing.write_text("\n".join([header, "gone.png,96,72,red,1,1,9,9"]))
    with pytest.raises(LearningError, match="none of its pictures is in"):
        gather(missing, str(pictures), (), 48, print)
    empty = tmp_path / "empty.csv"
    empty.write_text("\n".join([header, "3.png,96,72,,,,,"]))
    with pytest.raises(LearningError, match="no box in 1 picture; draw some first"):
        gather(empty, str(pictures), (), 48, print)
    with pytest.raises(AnnotationError, match="class 'red' is not one of green"):
        gather(labels, str(pictures), ["green"], 48, print)
    with pytest.raises(LearningError, match="pictures = '': give the folder"):
        gather(labels, "", (), 48, print)
    (tmp_path / "voc").mkdir()
    with pytest.raises(AnnotationError, match="no XML file in it"):
        gather(tmp_path / "voc", str(pictures), (), 48, print)
    one = tmp_path / "one.csv"
    one.write_text("\n".join([header, lines[0]]))
    found, _ = gather(one, str(pictures), (), 48, print)
    with pytest.raises(LearningError, match=r"0.png is the only picture"):
        split(found, 0.2, 0)


def test_missing_pictures_are_told_and_left_out(tmp_path):
    labels, pictures = dataset(tmp_path, 5)
    (pictures / "2.png").unlink()
    said = []
    found, _ = gather(labels, str(pictures), (), 48, said.append)
    assert len(found) == 4
    assert len(said) == 1
    assert "no photo 2.png" in said[0]


def test_the_split_keeps_copies_on_one_side():
    examples = [made(str(number), str(number // 2)) for number in range(40)]
    for seed in range(5):
        learnt, held = split(examples, 0.25, seed)
        assert (len(learnt), len(held)) == (30, 10)
        assert not {each.origin for each in learnt} & {each.origin for each in held}
    assert split(examples, 0.25, 0) != split(examples, 0.25, 1)
    assert {e.name for e in split(examples[::-1], 0.25, 0)[1]} == {
        e.name for e in split(examples, 0.25, 0)[1]
    }


def test_copies_of_held_out_pictures_are_not_learnt_from():
    said = []
    learnt, held = apart([made("a"), made("b", "x")], [made("c", "x")], said.append)
    assert [each.name for each in learnt] == ["a"]
    assert [each.name for each in held] == ["c"]
    assert said == ["warning: 1 picture held out, too; not learnt from"]
    with pytest.raises(LearningError, match="no picture is left"):
        apart([made("b", "x")], [made("c", "x")], print)


def test_the_label_map_is_read_by_the_loaders(tmp_path):
    names = ["it's", 'a "b"', "c\\d", "two\nlines", "\\n", "\t1", "Zoë", "{ # }"]
    records.write_label_map(tmp_path / "map.pbtxt", names)
    assert labelmap.read_label_map(tmp_path / "map.pbtxt") == dict(enumerate(names, 1))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("several", [False, True])
def test_boxes_follow_their_pixels(seed, several):
    """What is red in the sample is what the boxes say, to two pixels."""
    rng = np.random.default_rng(seed)
    options = config_of_augmentation(zoom=0.6, mosaic=1.0 if several else 0.0)
    pixels = np.zeros((60, 90, 3), np.uint8)
    pixels[15:40, 30:70] = 255
    whole = Sample(pixels, np.float32([[30 / 90, 15 / 60, 70 / 90, 40 / 60]]), np.int32([0]))
    found = augment.sample([whole] * (4 if several else 1), options, rng)
    painted = np.zeros((128, 128), bool)
    for left, top, right, bottom in np.rint(found.boxes * 128).astype(int):
        painted[top:bottom, left:right] = True
    white = (found.pixels > 250).all(axis=-1)
    wrong = white != painted
    assert np.count_nonzero(erode(wrong)) == 0


def config_of_augmentation(**more):
    quiet = {**QUIET, "flip": True} | more
    return LearningConfig(weights="none", size=128, **quiet)


def erode(mask):
    """What is left of a mask when two pixels are taken off its edges."""
    inner = mask[2:-2, 2:-2].copy()
    for y in range(5):
        for x in range(5):
            inner &= mask[y : y + inner.shape[0], x : x + inner.shape[1]]
    return inner


def test_without_augmentation_a_picture_is_only_stretched():
    pixels, boxes = picture(4)
    share = np.float32([boxes[0].box]) / [96, 72, 96, 72]
    whole = Sample(pixels, share.astype(np.float32), np.int32([0]))
    found = augment.sample([whole], config_of_augmentation(flip=False), np.random.default_rng(0))
    np.testing.assert_allclose(found.boxes, share, atol=1e-6)
    left, top, right, bottom = (found.boxes[0] * 128).astype(int)
    middle = found.pixels[(top + bottom) // 2, (left + right) // 2]
    assert middle.tolist() == list(COLOURS["red"])


def test_a_box_that_is_mostly_out_of_view_is_ignored():
    corners = np.array([[[-0.8, 0.0], [0.2, 1.0]], [[-1.0, 0.0], [-0.5, 1.0]], [[0, 0], [1, 1]]])
    window = augment.Window(0, 0, 64, 64)
    boxes, classes = augment.seen(corners, np.int32([3, 4, 5]), window, 64)
    assert classes.tolist() == [IGNORED, 5]
    np.testing.assert_allclose(boxes[0], [0, 0, 0.2, 1], atol=1e-6)


def test_the_target_of_one_object():
    found = target(np.float32([[0.25, 0.25, 0.75, 0.75]]), np.int32([1]), 8, 2)
    assert found.centres[4, 4, 1] == 1
    assert (found.centres == 1).sum() == 1
    assert not found.centres[..., 0].any()
    assert found.shares.sum() == pytest.approx(1)
    assert 0 < found.centres[4, 5, 1] < 1
    np.testing.assert_array_equal(found.boxes[found.shares > 0], [[0.25, 0.25, 0.75, 0.75]] * 9)
    assert found.counted.all()


def test_ignored_boxes_say_nothing_about_centres():
    found = target(np.float32([[0, 0, 0.5, 1]]), np.int32([IGNORED]), 8, 1)
    assert not found.centres.any()
    assert not found.counted[:, :4].any()
    assert found.counted[:, 4:].all()


def test_a_picture_without_boxes_has_a_target():
    found = target(np.zeros((0, 4), np.float32), np.zeros(0, np.int32), 4, 1)
    assert not found.centres.any()
    assert not found.shares.any()


def test_a_batch_depends_on_its_number_alone(tmp_path):
    options = config(tmp_path, mosaic=0.5, batch=4)
    found, classes = gather(tmp_path / "labels.csv", options.pictures, (), 96, print)
    one, other = (Batches(found, options, len(classes)) for _ in range(2))
    later = {number: batch for number, batch in one.since(2)}
    assert sorted(later) == list(range(2, one.steps))
    for (pixels, wanted), (again, too) in [(later[3], other.batch(3))]:
        np.testing.assert_array_equal(pixels, again)
        for a, b in zip(wanted, too, strict=True):
            np.testing.assert_array_equal(a, b)


def test_decoded_pictures_are_kept_up_to_so_many_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "KEPT_DECODED", 2 * 3 * 96 * 72)
    options = config(tmp_path)
    found, _ = gather(tmp_path / "labels.csv", options.pictures, (), 96, print)
    made = Batches(found, options, 1)
    for number in (0, 1, 2):
        made.picture(number)
    assert made.picture.cache_info().currsize == 2


def test_every_picture_is_drawn_once_in_a_round(tmp_path):
    options = config(tmp_path)
    found, _ = gather(tmp_path / "labels.csv", options.pictures, (), 96, print)
    made = Batches(found, options, 1)
    for around in range(3):
        drawn = [made.order(around * len(found) + n) for n in range(len(found))]
        assert sorted(drawn) == list(range(len(found)))


def test_the_rate_rises_then_falls():
    rates = [learner.share_of_rate(step, 1000) for step in range(1000)]
    top = int(np.argmax(rates))
    assert 20 < top < 40
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] == pytest.approx(learner.LAST_SHARE, abs=1e-3)
    assert learner.ema_weight(0, 0.99) == 0.1
    assert learner.ema_weight(10**6, 0.99) == 0.99
