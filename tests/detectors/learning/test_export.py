"""The exported detector through our own loaders, and its three forms against each other."""

import json
import re
import shutil
import warnings
from dataclasses import asdict

import numpy as np
import pytest
import tensorflow as tf

import detectors
from detectors import graphs, labelmap
from detectors.learning import cli, export, network
from detectors.learning.options import LearningConfig, LearningError
from tests.kit.learning import dataset, picture, small_backbone

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
OPTIONS = LearningConfig(weights="none", size=64, alpha=0.1)


def by_chance():
    """A network that is sure enough of itself to find things."""
    tf.keras.utils.set_random_seed(3)
    made = network.build_detector(OPTIONS, 2)
    weights, bias = made.get_layer("centres").weights
    weights.assign(8 * weights)
    bias.assign(0 * bias)
    return made


def exported(folder, mirror):
    export.write_detector(folder / "detector", by_chance(), ["red", "blue"], mirror, 0.3)
    return folder / "detector"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Of a MobileNet, with all the operations that there are, in one direction: twice is dear."""
    return exported(tmp_path_factory.mktemp("run"), False)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Of five convolutions, both ways round, for what any network shows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(network.MAKERS, "mobilenetv2", small_backbone)
        return exported(tmp_path_factory.mktemp("small"), True)


@pytest.fixture(scope="module", params=["whole", "small"])
def folder(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def saved(folder):
    return graphs.open_graph(folder)


def pictures(count=3, size=(96, 64)):
    return np.stack([picture(number, ("red", "blue"), size)[0] for number in range(count)])


def test_both_graphs_agree_in_our_loaders(folder, saved):
    frozen = graphs.open_graph(folder / export.FROZEN)
    assert saved.batches
    assert frozen.batches
    for size in ((96, 64), (64, 96), (64, 64)):
        one, other = saved.run(pictures(size=size)), frozen.run(pictures(size=size))
        assert one["num_detections"].min() > 0
        for name in graphs.OUTPUTS:
            np.testing.assert_allclose(one[name], other[name], atol=1e-4, err_msg=name)


def test_finds_do_not_depend_on_the_other_pictures(saved):
    together, alone = saved.run(pictures()), saved.run(pictures()[1:2])
    for name in graphs.OUTPUTS:
        np.testing.assert_allclose(together[name][1:2], alone[name], atol=1e-4)


def test_a_detector_of_the_folder_finds_the_classes(small):
    detector = detectors.load(detectors.parse(f"crop:{small}?min_score=0.01"), 0)
    found = detector(list(pictures()))
    assert {one.label for some in found for one in some} <= {"red", "blue"}
    assert all(some for some in found)
    again = detectors.load(detectors.parse(f"tfod:{small / export.FROZEN}?min_score=0.01"), 0)
    assert again(list(pictures())) == found


def test_the_label_map_counts_from_1(small):
    assert labelmap.read_label_map(small / export.LABELS) == {1: "red", 2: "blue"}


def test_tflite_finds_what_the_graph_finds(folder, saved):
    """Best find against best find: TFLite keeps those that overlap."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the interpreter says that it will move
        interpreter = tf.lite.Interpreter(str(folder / export.LITE))
    interpreter.allocate_tensors()
    (fed,) = interpreter.get_input_details()
    assert (fed["shape"].tolist(), fed["dtype"]) == ([1, 64, 64, 3], np.uint8)
    run = interpreter.get_signature_runner()
    for one in pictures(size=(64, 64)):
        lite, full = run(image_tensor=one[None]), saved.run(one[None])
        assert lite["detection_scores"][0, 0] > 0
        for name in ("detection_boxes", "detection_scores", "detection_classes"):
            np.testing.assert_allclose(lite[name][0, 0], full[name][0, 0], atol=1e-4)
        assert (np.diff(lite["detection_scores"][0]) <= 0).all()


@pytest.mark.parametrize("surest", [0.1, 0.25, 0.5, 0.8])
def test_half_a_score_is_where_f1_was_best(surest):
    assert surest ** export.bend_of(surest) == pytest.approx(0.5)


def test_a_finished_run_is_exported_again(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(network.MAKERS, "mobilenetv2", small_backbone)
    model = by_chance()
    known = {"config": asdict(OPTIONS), "classes": ["red", "blue"], "labels_digest": ""}
    (tmp_path / "config.json").write_text(json.dumps(known))
    words = ["export", "--run", str(tmp_path), "--out", str(tmp_path / "again"), "--mirror"]
    assert cli.main(words) == LearningError.code
    assert "is not finished: run its training again first" in capsys.readouterr().err
    model.save(tmp_path / "model.keras")
    metrics = {"measured": {"detector": {"surest": 0.25}}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    given = []
    monkeypatch.setattr(export, "write_detector", lambda *all: given.extend(all))
    assert cli.main(words) == 0
    out, again, *rest = given
    assert (out, rest) == (tmp_path / "again", [["red", "blue"], True, 0.25])
    for one, other in zip(again.weights, model.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize("held", ["photo.jpg", "config.json", "saved_model"])
def test_an_export_replaces_nothing_but_a_detector(tmp_path, capsys, monkeypatch, held):
    known = {"config": asdict(OPTIONS), "classes": ["red"], "labels_digest": ""}
    (tmp_path / "config.json").write_text(json.dumps(known))
    monkeypatch.setattr(export, "write_detector", lambda *_: pytest.fail("written"))
    out = tmp_path if held == "config.json" else tmp_path / "out"
    out.mkdir(exist_ok=True)
    (out / held).touch()
    assert cli.main(["export", "--run", str(tmp_path), "--out", str(out)]) == LearningError.code
    said = capsys.readouterr().err
    assert f"error: --out {out} would be replaced, and holds" in said
    assert (held in said) is (held != "saved_model")
    assert (out / held).exists()


def test_an_exported_detector_is_replaced(small, tmp_path):
    export.check_place(small)
    export.check_place(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    export.check_place(tmp_path / "empty")


def test_the_scale_of_the_training_is_that_of_the_detector(small, tmp_path):
    spec = detectors.parse(f"crop:{small}")
    assert detectors.load(spec, 0).long_side == 96  # 1.5 times the network's 64
    assert detectors.load(detectors.parse(f"crop:{small}?long_side=64"), 0).long_side == 64
    shutil.copytree(small, tmp_path / "own")
    before = detectors.identity(spec)
    spec = detectors.parse(f"crop:{tmp_path / 'own'}")
    assert detectors.identity(spec) == before
    (tmp_path / "own" / "detector.json").write_text('{"long_side": 9}')
    assert detectors.identity(spec) != before
    with pytest.raises(ValueError, match=r"detector\.json names no long_side of 32 to 4096"):
        detectors.load(spec, 0)


def test_a_folder_of_its_own_for_an_evaluation(small, tmp_path, capsys):
    (tmp_path / "config.json").write_text("{}")
    for out in (tmp_path, small):
        words = ["evaluate", "--detector", "haar", "--labels", "none.csv", "--out", str(out)]
        assert cli.main(words) == LearningError.code
        assert f"error: --out {out} holds a run or a detector" in capsys.readouterr().err


def test_any_detector_is_evaluated(small, tmp_path, capsys):
    labels, where = dataset(tmp_path, 4, two=True)
    alone = tmp_path / "alone.csv"  # whose constant box is its own box
    alone.write_text("\n".join(labels.read_text().splitlines()[:2]))
    words = ["evaluate", "--pictures", str(where), "--against", str(alone), "--labels", str(alone)]
    words += ["--out", str(tmp_path / "out"), "--detector"]
    assert cli.main([*words, f"crop:{small}"]) == 0
    known = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert known["measured"]["constant box"]["map5095"] == 1
    assert known["measured"][f"crop:{small}"]["map5095"] < 1
    assert re.search(r"^constant box +1\.000 +1\.000 ", capsys.readouterr().out, re.MULTILINE)
    assert cli.main([*words, "crop:gone"]) == LearningError.code
    assert "error: --detector crop:gone: there is no such file" in capsys.readouterr().err
