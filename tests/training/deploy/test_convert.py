"""Graphs that were made on a GPU, and the same for a CPU."""

import numpy as np
import pytest
import tensorflow as tf

from training import cli

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


def test_a_keras_file_and_a_savedmodel_stay_what_they_are(tmp_path):
    model = tf.keras.Sequential([tf.keras.Input((8, 10, 3)), tf.keras.layers.Conv2D(2, 3)])
    model.save(tmp_path / "a.keras")
    picture = PICTURE.transpose(0, 2, 3, 1)
    for source, out in (("a.keras", "first"), ("first", "second")):
        assert converted(tmp_path / source, tmp_path / out) == 0
        run = tf.saved_model.load(str(tmp_path / out)).signatures["serving_default"]
        (name,) = run.structured_input_signature[1]
        (found,) = run(**{name: tf.constant(picture)}).values()
        np.testing.assert_allclose(found, model(picture), atol=1e-6)


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


def test_what_holds_no_graph_is_one_sentence(tmp_path, capsys):
    (tmp_path / "a.pb").write_bytes(b"no graph")
    (tmp_path / "folder").mkdir()
    for name, sentence in (
        ("a.pb", "is no SavedModel, Keras file or graph"),
        ("folder", "is no SavedModel, Keras file or graph"),
        ("b.pb", "does not exist: name a SavedModel, a .keras or a .pb"),
    ):
        assert sentence in refused(capsys, converted(tmp_path / name, tmp_path / "out"))
    assert "exists already" in refused(capsys, converted(tmp_path / "a.pb", tmp_path / "folder"))
