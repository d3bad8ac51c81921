"""The network, its losses against closed forms, and how its map becomes finds."""

import os

import numpy as np
import pytest
import tensorflow as tf

from detectors.learning import finder, losses, network
from detectors.learning.options import LearningConfig, LearningError
from detectors.learning.targets import target
from tests.kit.learning import small_backbone

# Keras 3 asks its own variables for an array in a way that NumPy 2 will not take for ever.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def options(**more):
    return LearningConfig(**{"weights": "none", "size": 64, "alpha": 0.1} | more)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "stride"),
    [
        ("mobilenetv2", "8"),
        ("mobilenetv3small", "8"),
        ("mobilenetv3large", "8"),
        ("mobilenetv3small", "16"),  # a level fewer of those that "8" adds up
    ],
)
def test_the_map_has_a_cell_per_stride(backbone, stride):
    given = options(backbone=backbone, stride=stride)
    model = network.build_detector(given, 3)
    assert model.output_shape == (None, given.cells, given.cells, 7)
    norms = [each for each in model.layers if type(each).__name__ == "BatchNormalization"]
    assert len(norms) > 20
    assert {each.momentum for each in norms} == {0.9}


@pytest.mark.slow
@pytest.mark.usefixtures("plain_graphs")
def test_moving_statistics_follow_within_a_hundred_steps():
    """With the momentum of keras.applications the two answers differ beyond recognition."""
    tf.keras.utils.set_random_seed(0)
    model = network.build_detector(options(), 1)
    pictures = tf.constant(np.random.default_rng(0).normal(0, 1, (8, 64, 64, 3)), tf.float32)
    learn = tf.function(lambda: model(pictures, training=True), autograph=False)
    for _ in range(100):
        learning = learn()
    finished = model(pictures, training=False)
    apart = tf.reduce_mean(tf.abs(learning - finished)) / tf.math.reduce_std(learning)
    assert apart < 0.1


@pytest.mark.slow
def test_every_weight_has_a_gradient():
    model = network.build_detector(options(), 1)
    pictures = tf.constant(np.random.default_rng(0).normal(0, 1, (2, 64, 64, 3)), tf.float32)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(tf.square(model(pictures, training=True)))
    found = tape.gradient(total, [weight.value for weight in model.trainable_weights])
    assert all(each is not None and np.isfinite(each).all() for each in found)


def test_focal_loss_in_closed_form():
    logits, wanted = tf.constant([0.0, 0.0, 0.0]), tf.constant([1.0, 0.0, 0.5])
    expected = np.log(2) * np.array([0.25, 0.25, 0.25 * 0.5**4])
    np.testing.assert_allclose(losses.focal(logits, wanted), expected, rtol=1e-5)


def test_generalised_iou_in_closed_form():
    one = tf.constant([[0.0, 0, 2, 2], [0, 0, 1, 1], [0, 0, 1, 1]])
    other = tf.constant([[0.0, 0, 2, 2], [1, 0, 2, 1], [2, 0, 3, 1]])
    np.testing.assert_allclose(losses.generalised_iou(one, other), [1, 0, -1 / 3], atol=1e-4)


def answer_of(wanted, sharp=12.0):
    """What a network that knows the target answers."""
    cells = wanted.centres.shape[0]
    middle = (np.arange(cells) + 0.5) / cells
    at = np.stack(np.broadcast_arrays(middle[None, :], middle[:, None]), axis=-1)
    sides = np.concatenate([at - wanted.boxes[..., :2], wanted.boxes[..., 2:] - at], axis=-1)
    raw = np.log(np.maximum(sides, 1e-3) / network.UNIT)
    centres = np.where(wanted.centres == 1, sharp, -sharp)
    return np.concatenate([centres, raw], axis=-1)[None].astype(np.float32)


def targets(*boxes, classes, kinds):
    found = target(np.float32(boxes).reshape(-1, 4), np.int32(classes), 8, kinds)
    return found, tuple(tf.constant(part[None]) for part in found)


def test_the_right_answer_costs_nothing():
    found, wanted = targets((0.1, 0.2, 0.5, 0.7), (0.6, 0.6, 1, 1), classes=[0, 1], kinds=2)
    centres, boxes = losses.loss(tf.constant(answer_of(found)), *wanted)
    assert float(centres) == pytest.approx(0, abs=1e-3)
    assert float(boxes) == pytest.approx(0, abs=1e-3)


def test_a_picture_without_boxes_costs_only_what_is_found_in_it():
    found, wanted = targets(classes=[], kinds=1)
    quiet, boxes = losses.loss(tf.constant(answer_of(found)), *wanted)
    loud, _ = losses.loss(tf.zeros([1, 8, 8, 5]), *wanted)
    assert float(quiet) == pytest.approx(0, abs=1e-3)
    assert float(boxes) == 0
    assert float(loud) == pytest.approx(64 * 0.25 * np.log(2), rel=1e-5)


def test_two_objects_cost_as_much_as_one():
    """The loss is per object."""
    one, wanted = targets((0.1, 0.1, 0.4, 0.4), classes=[0], kinds=1)
    two, both = targets((0.1, 0.1, 0.4, 0.4), (0.6, 0.6, 0.9, 0.9), classes=[0, 0], kinds=1)
    wrong = [answer_of(found) + np.float32([0, 1, 1, 1, 1]) for found in (one, two)]
    costs = [losses.loss(tf.constant(a), *w)[1] for a, w in zip(wrong, (wanted, both), strict=True)]
    assert float(costs[0]) > 0.5
    assert float(costs[0]) == pytest.approx(float(costs[1]), rel=0.05)


class Fixed:
    """A model that always answers the same; it sees which way round the picture is."""

    input_shape = (None, 128, 128, 3)

    def __init__(self, answer):
        self.answer = tf.constant(answer)

    def __call__(self, squares, training):
        assert training is False
        turned = tf.reduce_mean(squares[:, :, 0]) > tf.reduce_mean(squares[:, :, -1])
        answer = tf.cond(turned, lambda: self.answer, lambda: mirrored(self.answer))
        return tf.tile(answer, [tf.shape(squares)[0], 1, 1, 1])


def mirrored(answer):
    kinds = answer.shape[-1] - 4
    order = [*range(kinds), kinds + 2, kinds + 1, kinds, kinds + 3]
    return tf.gather(answer[:, :, ::-1], order, axis=-1)


@pytest.mark.parametrize("mirror", [False, True])
def test_finds_are_the_boxes_of_the_map(mirror):
    boxes = [(0.1, 0.2, 0.45, 0.7), (0.6, 0.55, 0.95, 0.9)]
    found, _ = targets(*boxes, classes=[1, 0], kinds=2)
    pictures = np.zeros((2, 40, 90, 3), np.uint8)
    pictures[:, :, :45] = 200  # light at the left
    values = finder.finder(Fixed(answer_of(found)), mirror)(tf.constant(pictures))
    assert values["num_detections"].numpy().tolist() == [2, 2]
    got = values["detection_boxes"].numpy()[1, :2]
    classes = values["detection_classes"].numpy()[1, :2].tolist()
    assert sorted(classes) == [1, 2]
    for box, kind in zip(got, classes, strict=True):
        left, top, right, bottom = boxes[0] if kind == 2 else boxes[1]
        np.testing.assert_allclose(box, [top, left, bottom, right], atol=1e-3)


def test_bent_scores_keep_their_order():
    found, _ = targets((0.1, 0.2, 0.4, 0.7), classes=[0], kinds=1)
    pictures = tf.zeros([1, 32, 32, 3], tf.uint8)
    plain, bent = (
        finder.finder(Fixed(answer_of(found, 1.0)), False, bend)(pictures) for bend in (1.0, 2.0)
    )
    np.testing.assert_allclose(bent["detection_boxes"], plain["detection_boxes"])
    np.testing.assert_allclose(
        bent["detection_scores"], plain["detection_scores"].numpy() ** 2, rtol=1e-5
    )


def assert_same(one, other, *layers):
    """That these layers have the same weights in both."""
    for layer in layers:
        pairs = [model.get_layer(layer).get_weights() for model in (one, other)]
        for a, b in zip(*pairs, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.fixture
def small(monkeypatch):
    """A few convolutions instead of a MobileNet, which takes a second whenever it is built."""
    monkeypatch.setitem(network.MAKERS, "mobilenetv2", small_backbone)


@pytest.mark.slow
def test_weights_of_an_earlier_run_are_taken_over(tmp_path, small):
    first = network.build_detector(options(), 2)
    first.save(tmp_path / "model.keras")
    same, other = network.build_detector(options(), 2), network.build_detector(options(), 3)
    given = options(weights=str(tmp_path / "model.keras"))
    assert network.begin_weights(same, given) == f"weights from {given.weights}"
    assert "begun by chance: centres" in network.begin_weights(other, given)
    for model in (same, other):
        assert_same(model, first, "quarter_conv", "head_conv")
    with pytest.raises(
        LearningError, match=r"is not of a mobilenetv2 with alpha 0.2 .*another shape"
    ):
        network.begin_weights(
            network.build_detector(options(alpha=0.2), 2), options(alpha=0.2, weights=given.weights)
        )


@pytest.mark.slow
def test_weights_of_keras_without_the_top_are_taken_over(tmp_path, small):
    backbone = network.backbone_of(options())
    backbone.save_weights(tmp_path / "no_top.weights.h5")
    model = network.build_detector(options(), 1)
    given = options(weights=str(tmp_path / "no_top.weights.h5"))
    network.begin_weights(model, given)
    assert_same(model, backbone, "quarter_conv")
    with pytest.raises(LearningError, match=r"is not of a mobilenetv2 with alpha 0.2 and no top"):
        network.begin_weights(model, options(alpha=0.2, weights=given.weights))


def test_a_model_that_is_missing_or_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.keras")
    for name, wrong in (("pipe", "is no file"), ("none", "does not exist")):
        with pytest.raises(LearningError, match=rf"{name}\.keras {wrong}: train the detector"):
            network.open_model(tmp_path / f"{name}.keras")


def test_wrong_weights_are_one_sentence(tmp_path):
    (tmp_path / "a.keras").write_bytes(b"no zip")
    with pytest.raises(LearningError, match="is no Keras model that loads safely"):
        network.begin_weights(None, options(weights=str(tmp_path / "a.keras")))
    with pytest.raises(LearningError, match="there is no such file"):
        network.begin_weights(None, options(weights=str(tmp_path / "gone.h5")))


@pytest.mark.slow
def test_imagenets_weights_are_those_that_keras_keeps(tmp_path, monkeypatch):
    """Keras looks for the file by name before it asks the network; this one is of our making."""
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    kept = tf.keras.applications.MobileNetV2((96, 96, 3), 0.35, include_top=False, weights=None)
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"
    (tmp_path / "models").mkdir()
    kept.save(tmp_path / "models" / name)
    given = options(weights="imagenet", alpha=0.35)
    model = network.build_detector(given, 2)
    said = network.begin_weights(model, given)
    assert said.startswith("weights from imagenet; begun by chance: ")
    assert "block_" not in said
    assert_same(model, kept, "Conv1", "block_3_expand", "block_16_project_BN")


def test_imagenet_without_a_network_is_one_sentence(monkeypatch):
    def fetch(*_, **__):
        raise OSError("URL fetch failure: no route to host\nmore")

    monkeypatch.setitem(network.MAKERS, "mobilenetv2", fetch)
    with pytest.raises(LearningError, match=r"could not fetch them \(URL fetch.*weights = none"):
        network.imagenet(options(weights="imagenet", alpha=0.35))
