"""Graphs that were made on a GPU, and the same for a CPU."""

import inspect
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.kit.store import ROOT
from training import cli
from training.deploy import convert
from training.deploy.trial import furthest, tried

v1 = tf.compat.v1
RNG = np.random.default_rng(0)
KERNEL = RNG.standard_normal((3, 3, 3, 4)).astype(np.float32)
EDGES = [[0, 0], [1, 2], [2, 1], [0, 0]]
PICTURE = RNG.random((2, 3, 8, 10)).astype(np.float32)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def network(x, form):
    """One of each operation that has a picture, in NHWC or NCHW."""
    there = (lambda four: [four[0], four[3], four[1], four[2]]) if form == "NCHW" else list
    x = tf.nn.conv2d(x, KERNEL, there([1, 1, 2, 1]), there(EDGES), form)
    x = tf.nn.bias_add(x, np.float32([1, 2, 3, 4]), form)
    ones = np.ones(4, np.float32)
    x = v1.nn.fused_batch_norm(
        x, 2 * ones, ones, 0.1 * ones, 3 * ones, data_format=form, is_training=False
    )[0]
    x = tf.nn.max_pool2d(x, there([1, 2, 1, 1]), 1, "VALID", form)
    x = tf.nn.avg_pool2d(x, there([1, 1, 2, 1]), 1, "SAME", form)
    kernel = np.ones((2, 2, 4, 1), np.float32)
    return tf.nn.depthwise_conv2d(x, kernel, [1, 1, 1, 1], "SAME", form)


def of_a_gpu(path, made):
    """A frozen graph whose operations are all on a GPU."""
    with tf.Graph().as_default() as graph, tf.device("/GPU:0"):
        made(v1.placeholder(tf.float32, [None, 3, 8, 10], name="x"))
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def converted(path, out):
    return cli.main(["convert", str(path), f"--out={out}"])


@pytest.mark.slow
def test_a_graph_in_nchw_gives_the_same_in_nhwc(tmp_path, capsys):
    path = of_a_gpu(tmp_path / "a.pb", lambda x: tf.identity(network(x, "NCHW"), name="y"))
    assert converted(path, tmp_path / "out") == 0
    said = capsys.readouterr().out
    for word in ("1 x Conv2D turned from NCHW to NHWC", "x device /device:GPU:0 stripped"):
        assert word in said
    assert "input x: float32 (None, 3, 8, 10)" in said and "ms a call" in said
    run = tf.saved_model.load(str(tmp_path / "out")).signatures["serving_default"]
    wanted = network(PICTURE.transpose(0, 2, 3, 1), "NHWC").numpy().transpose(0, 3, 1, 2)
    np.testing.assert_allclose(run(x=tf.constant(PICTURE))["y"], wanted, atol=1e-4)
    assert {node.device for node in run.graph.as_graph_def().node} == {""}


@pytest.mark.slow
def test_a_keras_file_and_a_savedmodel_stay_what_they_are(tmp_path):
    model = tf.keras.Sequential([tf.keras.Input((8, 10, 3)), tf.keras.layers.Conv2D(2, 3)])
    model.save(tmp_path / "a.keras")
    for name, form in (("b.KERAS", "keras"), ("c.pb", "h5")):
        model.save(tmp_path / f"whole.{form}")
        (tmp_path / f"whole.{form}").rename(tmp_path / name)
        assert converted(tmp_path / name, tmp_path / f"of {name}") == 0
    picture = PICTURE.transpose(0, 2, 3, 1)
    for source, out in (("a.keras", "first"), ("first", "second")):
        assert converted(tmp_path / source, tmp_path / out) == 0
        run = tf.saved_model.load(str(tmp_path / out)).signatures["serving_default"]
        (name,) = run.structured_input_signature[1]
        (found,) = run(**{name: tf.constant(picture)}).values()
        np.testing.assert_allclose(found, model(picture), atol=1e-6)


@pytest.mark.slow
@pytest.mark.slow
def test_every_activation_of_keras_stays_what_it_is(tmp_path, capsys):
    no_layers = {"get", "serialize", "deserialize", "threshold"}  # the last wants numbers
    found = vars(tf.keras.activations).items()
    names = {name for name, made in found if inspect.isfunction(made)} - no_layers
    given = tf.keras.Input((10, 4))
    model = tf.keras.Model(given, {name: tf.keras.layers.Activation(name)(given) for name in names})
    model.save(tmp_path / "a.keras")
    assert converted(tmp_path / "a.keras", tmp_path / "out") == 0
    assert "x gradient of an operation's own stripped" in capsys.readouterr().out
    run = tf.saved_model.load(str(tmp_path / "out")).signatures["serving_default"]
    (name,) = run.structured_input_signature[1]
    numbers = RNG.standard_normal((2, 10, 4)).astype(np.float32)
    wanted, made = model(numbers), run(**{name: tf.constant(numbers)})
    assert len(names) > 25 and {"swish", "gelu", "mish"} < names
    for name in names:
        np.testing.assert_allclose(made[name], wanted[name], atol=1e-6)


@pytest.mark.slow
def test_layers_of_keras_in_nchw_of_any_rank_stay_what_they_are(tmp_path):
    layers, form = tf.keras.layers, {"data_format": "channels_first"}
    given = [tf.keras.Input((2, *[6] * axes), name=f"of{axes}") for axes in (1, 2, 3)]
    found = [
        [conv(4, 3, **form), pool(2, **form), layers.BatchNormalization(axis=1)]
        for conv, pool in (
            (layers.Conv1D, layers.MaxPooling1D),
            (layers.Conv2D, layers.AveragePooling2D),
            (layers.Conv3D, layers.MaxPooling3D),
        )
    ]
    found[1].append(layers.Conv2D(2, 3, groups=2, **form))
    outputs = [layer(x) for x, some in zip(given, found, strict=True) for layer in some]
    model = tf.keras.Model(given, outputs)
    model.save(tmp_path / "a.keras")
    assert converted(tmp_path / "a.keras", tmp_path / "out") == 0
    run = tf.saved_model.load(str(tmp_path / "out")).signatures["serving_default"]
    numbers = {x.name: RNG.random((2, *x.shape[1:])).astype(np.float32) for x in given}
    made = run(**{name: tf.constant(each) for name, each in numbers.items()})
    for number, wanted in enumerate(model([*numbers.values()])):
        np.testing.assert_allclose(made[f"output_{number}"], wanted, atol=1e-5)


@pytest.mark.slow
def test_a_savedmodel_whose_fingerprint_is_damaged_is_taken_without_a_word(tmp_path):
    saved(tmp_path / "one", lambda x: x + 1, tf.TensorSpec([None, 2]))
    (tmp_path / "one" / "fingerprint.pb").write_bytes(b"damaged")
    words = ["-m", "training", "convert", str(tmp_path / "one"), "--out", str(tmp_path / "two")]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""


def refused(capsys, code):
    out, error = capsys.readouterr()
    assert (code, out, error.count("\n")) == (2, "", 1), error
    return error


def test_an_operation_that_no_cpu_has_is_named_with_what_replaces_it(tmp_path, capsys):
    def reduce(x):
        tf.raw_ops.NcclAllReduce(input=x, reduction="sum", num_devices=1, shared_name="a")

    path = of_a_gpu(tmp_path / "a.pb", reduce)
    error = refused(capsys, converted(path, tmp_path / "out"))
    assert "NcclAllReduce has no kernel on a CPU: what replaces it is the graph of one" in error
    assert not (tmp_path / "out").exists()


def test_a_convolution_that_cannot_be_turned_is_named(tmp_path, capsys):
    def raised(x):
        return tf.nn.conv2d_transpose(x, KERNEL, [1, 3, 8, 10], 1, "SAME", "NCHW")

    with tf.Graph().as_default() as graph:
        raised(v1.placeholder(tf.float32, [1, 4, 8, 10], name="x"))
    (tmp_path / "a.pb").write_bytes(graph.as_graph_def().SerializeToString())
    error = refused(capsys, converted(tmp_path / "a.pb", tmp_path / "out"))
    assert "Conv2DBackpropInput is in NCHW, which a CPU has not: save the model in NHWC" in error


@pytest.mark.slow
def test_what_holds_no_graph_is_one_sentence(tmp_path, capsys):
    (tmp_path / "a.pb").write_bytes(b"no graph")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe.keras")
    for name in ("saved_model.pb", "a.onnx"):
        (tmp_path / name).write_bytes(b"no graph")
    (tmp_path / "graph.pb").write_bytes(b"\n\xff\n\n\x05const")  # as JPEG XL begins but for a line
    (tmp_path / "lite.pb").write_bytes(b"\x1c\0\0\0TFL3")
    (tmp_path / "pointer.keras").write_text("version https://git-lfs.github.com/spec/v1\n")
    for name, sentence in (
        ("a.pb", "is no SavedModel, Keras file or graph"),
        ("graph.pb", "is no SavedModel, Keras file or graph"),
        ("folder", "is no SavedModel, Keras file or graph"),
        ("b.pb", "does not exist: name a SavedModel, a .keras or a .pb"),
        ("pipe.keras", "is no file: name a SavedModel, a .keras or a .pb"),
        ("saved_model.pb", f"is a part of a SavedModel: name its folder, {tmp_path}"),
        ("lite.pb", "is a file of TFLite: name what it was made of"),
        ("a.onnx", "is a file of ONNX: name what it was made of"),
        ("pointer.keras", "is a pointer of Git LFS (`git lfs pull` brings the file): name a"),
    ):
        assert sentence in refused(capsys, converted(tmp_path / name, tmp_path / "out"))
    assert "exists already" in refused(capsys, converted(tmp_path / "a.pb", tmp_path / "folder"))


def frozen(path, made):
    """A frozen graph on a CPU."""
    with tf.Graph().as_default() as graph:
        made()
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


@pytest.mark.slow
def test_names_in_scopes_and_every_output_are_kept(tmp_path):
    def made():
        x, other = (v1.placeholder(tf.float32, [4], name) for name in ("model/in", "model_in"))
        tf.add(x, other, name="a/b")
        tf.subtract(x, other, name="a_b")
        tf.split(x, 2, name="parts")

    assert converted(frozen(tmp_path / "a.pb", made), tmp_path / "out") == 0
    run = tf.saved_model.load(str(tmp_path / "out")).signatures["serving_default"]
    given = {"model_in": np.float32([1, 2, 3, 4]), "model_in_": np.ones(4, np.float32)}
    found = {name: value.numpy().tolist() for name, value in run(**given).items()}
    wanted = {"a_b": [2, 3, 4, 5], "a_b_": [0, 1, 2, 3], "parts": [1, 2], "parts_1": [3, 4]}
    assert found == wanted


def saved(path, function, *specs, module=None):
    """A SavedModel of a function, with what the module holds."""
    module = module or tf.Module()
    module.run = tf.function(function, autograph=False)
    signature = module.run.get_concrete_function(*specs)
    tf.saved_model.save(module, str(path), {"serving_default": signature})
    return path


@pytest.mark.slow
def test_whatever_kind_goes_in_and_comes_out(tmp_path, capsys):
    def every(text, whole, waves, picture):
        return {
            "text": tf.strings.upper(text),
            "length": 12 // whole,  # of which there is none of 0
            "waves": tf.signal.fft(waves),
            "none": waves[:0],
            "picture": tf.nn.conv2d(picture, KERNEL, 1, "VALID"),  # of at least 3 pixels
            "mean": tf.reduce_mean(picture, axis=[1, 2]),
        }

    specs = [
        tf.TensorSpec([None], tf.string, "text"),
        tf.TensorSpec([], tf.int32, "whole"),
        tf.TensorSpec([4], tf.complex64, "waves"),
        tf.TensorSpec([None, None, None, 3], tf.float32, "picture"),
    ]
    assert converted(saved(tmp_path / "a", every, *specs), tmp_path / "out") == 0
    assert "largest difference: 0.0e+00" in capsys.readouterr().out
    run = tf.saved_model.load(str(tmp_path / "out")).signatures["serving_default"]
    given = ["ab"], 3, np.ones(4, np.complex64), PICTURE.transpose(0, 2, 3, 1)
    names = [spec.name for spec in specs]
    found = run(**dict(zip(names, map(tf.constant, given), strict=True)))
    assert (found["text"].numpy().tolist(), int(found["length"])) == ([b"AB"], 4)
    assert found["picture"].shape == (2, 6, 8, 4)


@pytest.mark.slow
def test_what_comes_while_a_graph_is_converted_is_not_replaced(tmp_path, capsys, monkeypatch):
    path = saved(tmp_path / "a", lambda x: {"y": x}, tf.TensorSpec([2]))
    monkeypatch.setattr(convert, "tried", lambda *given: there(tmp_path / "out", *given))
    assert "out exists already" in refused(capsys, converted(path, tmp_path / "out"))
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["of another"]


def there(folder, *given):
    """A trial while which somebody makes the folder."""
    folder.mkdir(exist_ok=True)
    (folder / "of another").write_text("")
    return tried(*given)


@pytest.mark.slow
def test_what_is_no_number_before_and_after_is_no_difference(tmp_path, capsys):
    path = saved(tmp_path / "a", lambda x: {"y": x / 0, "z": 0 * x / 0}, tf.TensorSpec([2]))
    assert converted(path, tmp_path / "out") == 0
    out, err = capsys.readouterr()
    assert "largest difference: 0.0e+00" in out and err == ""


@pytest.mark.slow
def test_a_signature_that_cannot_be_taken_is_named(tmp_path, capsys):
    module = tf.Module()
    module.run = tf.function(lambda x: {"y": x}, autograph=False)
    signature = module.run.get_concrete_function(tf.TensorSpec([2]))
    tf.saved_model.save(module, str(tmp_path / "a"), {"other": signature, "more": signature})
    error = refused(capsys, converted(tmp_path / "a", tmp_path / "out"))
    assert "no signature serving_default, but more, other: save it with one" in error

    def ragged(x):
        return {"y": tf.RaggedTensor.from_row_splits(x, [0, 2])}

    path = saved(tmp_path / "b", ragged, tf.TensorSpec([2]))
    error = refused(capsys, converted(path, tmp_path / "out"))
    assert "its output y is no tensor: save it as a dense one" in error


@pytest.mark.slow
def test_what_no_graph_of_constants_can_hold_is_named(tmp_path, capsys):
    module = tf.Module()
    module.count = tf.Variable(1.0)

    def counted(x):
        return {"y": x + module.count.assign_add(1.0)}

    path = saved(tmp_path / "a", counted, tf.TensorSpec([]), module=module)
    assert "AssignAddVariableOp is of a table, or changes a variable" in refused(
        capsys, converted(path, tmp_path / "out")
    )
    nothing = frozen(tmp_path / "a.pb", lambda: v1.placeholder(tf.float32, [4], "x"))
    assert "computes nothing that comes out" in refused(
        capsys, converted(nothing, tmp_path / "out")
    )


def test_what_is_no_number_afterwards_alone_is_a_difference_whatever_else_comes_out():
    whole, broken = np.ones(2), np.array([1, np.nan])
    for order in ("ab", "ba"):
        before, after = (
            SimpleNamespace(outputs={name: {"a": whole, "b": other}[name] for name in order})
            for other in (whole, broken)
        )
        assert np.isnan(furthest(before, after))
