"""TensorFlow models with the Object Detection signature, made here, through one interface."""

import numpy as np
import pytest
import tensorflow as tf

import detectors
from atelier.boxes import Box
from atelier.errors import Refusal
from detectors import Detection
from tests.kit.made_graphs import frozen, saved_model, saved_model_of_1

FACE = (0.9, 1, [0.25, 0.1, 0.5, 0.4])
HAND = (0.8, 2, [0.0, 0.5, 1.0, 1.0])


def red(height, width, value=255):
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = value
    return picture


def load(path, query="names=face|hand", kind="tfod", min_face=0.01):
    return detectors.load(detectors.parse(f"{kind}:{path}?{query}"), min_face)


def writer_of(kind):
    return {
        "frozen": lambda path: frozen(path.with_suffix(".pb"), [FACE, HAND]),
        "frozen, one at a time": lambda p: frozen(p.with_suffix(".pb"), [FACE, HAND], single=True),
        "SavedModel": lambda path: saved_model(path, [FACE, HAND]),
        "SavedModel, one at a time": lambda p: saved_model(p, [FACE, HAND], (1, None, None, 3)),
        "SavedModel, one size": lambda path: saved_model(path, [FACE, HAND], (None, 64, 64, 3)),
        "SavedModel of TensorFlow 1": lambda path: saved_model_of_1(path, [FACE, HAND]),
    }[kind]


KINDS = {
    "frozen": (True, None),
    "frozen, one at a time": (False, None),
    "SavedModel": (True, None),
    "SavedModel, one at a time": (False, None),
    "SavedModel, one size": (True, (64, 64)),
    "SavedModel of TensorFlow 1": (True, None),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_form_finds_the_same_in_pixels(kind, tmp_path):
    find = load(writer_of(kind)(tmp_path / "model"))
    assert (find.graph.batches, find.graph.size) == KINDS[kind]
    # 320 x 160 is a multiple of 32, so that a share of what the graph sees is one of the picture
    (found,) = find([red(160, 320)])
    assert found == [
        Detection("face", 0.9, Box(32, 40, 128, 80)),
        Detection("hand", 0.8, Box(160, 0, 320, 160)),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_found_depends_on_no_other_picture(kind, tmp_path):
    find = load(writer_of(kind)(tmp_path / "model"), "names=face|hand&min_score=0.1")
    sizes = [(160, 320), (100, 90), (160, 320), (320, 160), (160, 320), (160, 320), (160, 320)]
    pictures = [red(*size, value=90 + 20 * i) for i, size in enumerate(sizes)]
    assert find(pictures) == [find([picture])[0] for picture in pictures]
    assert find([]) == []


def test_only_the_red_of_rgb_counts(tmp_path):
    find = load(frozen(tmp_path / "g.pb", [FACE]))
    assert find([red(64, 64)[..., ::-1]]) == [[]]


def test_padding_moves_no_box(tmp_path):
    find = load(frozen(tmp_path / "g.pb", [(0.9, 1, [0.25, 0.25, 0.5, 0.5])]), "min_score=0.1")
    ((found,),) = find([red(100, 100)])  # seen as 128 x 128
    assert found.box == Box(32, 32, 64, 64)


def test_what_lies_outside_is_cut_off(tmp_path):
    find = load(frozen(tmp_path / "g.pb", [(0.9, 1, [-0.5, 0.5, 1.5, 1.5])]))
    ((found,),) = find([red(64, 64)])
    assert found.box == Box(32, 0, 64, 64)


@pytest.mark.parametrize(
    "box", [[0.1, float("nan"), 0.5, 0.5], [0.3, 0.3, 0.3, 0.6], [0.5, 0.5, 0.2, 0.9]]
)
def test_boxes_that_are_none_are_told(tmp_path, box):
    find = load(frozen(tmp_path / "g.pb", [FACE, (0.8, 1, box)]))
    (found,) = find([red(64, 64)])
    assert [one.label for one in found] == ["face", detectors.UNUSABLE]
    assert found[1].box == Box(0, 0, 0, 0)


@pytest.mark.slow
def test_finds_under_the_floor_and_small_faces_are_left_out(tmp_path):
    path = frozen(tmp_path / "g.pb", [FACE, HAND, (0.3, 1, [0, 0, 1, 1])])
    assert [one.label for one in load(path)([red(64, 64)])[0]] == ["face", "hand"]
    assert len(load(path, "names=face&min_score=0.25")([red(64, 64)])[0]) == 3
    assert [one.label for one in load(path, min_face=0.5)([red(64, 64)])[0]] == ["hand"]


def test_a_class_without_a_name_is_called_by_its_number(tmp_path):
    find = load(frozen(tmp_path / "g.pb", [FACE, HAND]), "names=face")
    assert [one.label for one in find([red(64, 64)])[0]] == ["face", "2"]


def test_the_label_map_beside_a_model_is_used(tmp_path):
    path = frozen(tmp_path / "g.pb", [FACE, HAND])
    spec = detectors.parse(f"tfod:{path}")
    (said,) = detectors.remarks(spec)
    assert said.startswith("tfod:g.pb has no label map: its classes are called 1, 2, ...")
    (tmp_path / "g.pbtxt").write_text("item { id: 1 name: 'face' }\nitem { id: 3 name: 'tip' }")
    assert detectors.class_names(spec) == {1: "face", 3: "tip"}
    assert detectors.remarks(spec) == [
        "tfod:g.pb: its label map names no class 2: such finds keep their number"
    ]


@pytest.mark.slow
def test_a_crop_detector_is_a_folder(tmp_path):
    saved_model(tmp_path / "own" / "saved_model", [(0.7, 1, [0, 0, 1, 0.5])])
    (tmp_path / "own" / "label_map.pbtxt").write_text('item { name: "portrait" id: 1 }')
    find = load(tmp_path / "own", "", kind="crop")
    assert find([red(64, 64)]) == [[Detection("portrait", 0.7, Box(0, 0, 32, 64))]]
    assert find.long_side == 320
    # Without a margin a share of the graph's picture is one of the photo.
    assert find([red(50, 70)]) == [[Detection("portrait", 0.7, Box(0, 0, 35, 50))]]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda path: frozen(path, [FACE], input_name="picture"),
            r"has inputs picture and outputs detection_boxes.*; an object detector has image_tens",
        ),
        (lambda path: frozen(path, [FACE], dtype="float32"), "image_tensor is float32; an object"),
        (lambda path: path.write_bytes(b"\x0a\xff not a graph"), r"part of one \(\d+ bytes\)"),
        (lambda path: path.write_bytes(b""), "has inputs - and outputs -; an object detector"),
    ],
)
def test_a_graph_that_does_not_fit_says_what_it_has(tmp_path, make, said):
    make(tmp_path / "g.pb")
    with pytest.raises(ValueError, match=said) as error:
        load(tmp_path / "g.pb")
    assert "\n" not in str(error.value)


def test_an_operation_that_is_not_known_is_one_sentence(tmp_path):
    path = frozen(tmp_path / "g.pb", [FACE])
    graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    graph.node.add(name="strange", op="NoSuchOperation")
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(ValueError, match=r"g\.pb does not load: .*NoSuchOperation") as error:
        load(path)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_a_saved_model_that_does_not_fit_says_what_it_has(tmp_path):
    folder = saved_model(tmp_path / "m", [FACE], drop=("detection_classes",))
    with pytest.raises(ValueError, match="has inputs input_tensor: uint8 and outputs detection_b"):
        load(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty holds neither saved_model\.pb nor "):
        load(tmp_path / "empty")
    (folder / "saved_model.pb").write_bytes(b"\x0a\xff")
    with pytest.raises(ValueError, match="m does not load") as error:
        load(folder)
    assert "\n" not in str(error.value)


def test_the_loaded_graph_is_the_frozen_one(tmp_path):
    """Against TensorFlow 1's own session, on the same picture."""
    path = frozen(tmp_path / "g.pb", [FACE, HAND])
    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(path.read_bytes())
    picture = red(64, 96, 200)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(graph, name="")
        (scores,) = session.run(["detection_scores:0"], {"image_tensor:0": picture[None]})
    found = load(path, "min_score=0")([picture])[0]
    assert [one.score for one in found] == [round(float(score), 4) for score in scores[0]]


@pytest.mark.slow
def test_a_saved_model_of_which_a_file_is_cut_off_is_one_sentence(tmp_path):
    module = tf.Module()
    module.held = tf.Variable(tf.ones([1000]))
    tf.saved_model.save(module, str(tmp_path))
    read = [path for path in tmp_path.rglob("*") if path.is_file() and "finger" not in path.name]
    assert len(read) == 3
    for path in read:
        whole = path.read_bytes()
        for size in (0, len(whole) // 2):
            path.write_bytes(whole[:size])
            with pytest.raises(ValueError, match=r"does not load|has no signature"):
                load(tmp_path)
        path.write_bytes(whole)


ONES = tf.ones([1, 1]).numpy()
ANSWERS = {"num_detections": ONES[0], "detection_boxes": np.zeros((1, 1, 4), np.float32)}
ANSWERS |= {"detection_scores": ONES, "detection_classes": ONES}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            {"detection_boxes": [[0.0] * 4], "detection_scores": [1.0], "detection_classes": [1.0]},
            None,
            r"detection_boxes \[1, 4\] float32, detection_scores \[1\] float32",
        ),
        ("num_detections", 1.0, r"gives num_detections \[\] float32"),
        ("num_detections", [np.nan], "gives num_detections that are no numbers"),
        ("detection_boxes", [[[0.0] * 3]], r"detection_boxes \[1, 1, 3\] float32"),
        ("detection_boxes", [[0.0] * 4], r"detection_boxes \[1, 4\] float32"),
        ("detection_scores", [1.0], r"detection_scores \[1\] float32"),
        ("detection_classes", [[1.0, 2.0]], r"detection_classes \[1, 2\] float32"),
        ("detection_classes", [["face"]], r"detection_classes \[1, 1\] object"),
        ("detection_scores", None, r"fails on pictures of 1 x 320 x 320 x 3: .*"),
    ],
)
def test_a_model_that_answers_otherwise_is_said_before_the_first_photo(tmp_path, name, value, said):
    with tf.Graph().as_default() as graph:
        fed = tf.compat.v1.placeholder("uint8", [None, None, None, 3], name="image_tensor")
        changed = name if isinstance(name, dict) else {name: value}
        for output, given in (ANSWERS | changed).items():
            made = tf.reshape(fed, [7, 7]) if given is None else tf.constant(given)
            tf.identity(made, name=output)
    (tmp_path / "odd.pb").write_bytes(graph.as_graph_def().SerializeToString())
    with pytest.raises(Refusal, match=rf"odd\.pb {said}|odd\.pb gives .*{said}"):
        load(tmp_path / "odd.pb")
