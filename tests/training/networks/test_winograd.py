"""Winograd's convolution is a convolution, and rounds as little."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import graphs
from training.networks import cpu, layers, winograd

SIZES = [(32, 36), (40, 33), (64, 32)]  # two strips of 16, two of 20, four of 16


@pytest.fixture(scope="module", autouse=True)
def left_alone():
    """Overrides that of the folder above: TensorFlow's optimiser stays on, as it is for users."""


def drawn(height, width, inputs=3, outputs=5):
    numbers = np.random.default_rng(height)
    x = numbers.standard_normal((2, height, width, inputs))
    return x, numbers.standard_normal((3, 3, inputs, outputs))


def exact(x, kernel):
    """By its definition, in float64."""
    height, width = x.shape[1:3]
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    return sum(
        padded[:, row : row + height, column : column + width] @ kernel[row, column]
        for row in range(3)
        for column in range(3)
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", [2, None])
def test_it_is_the_convolution(size, count):
    x, kernel = drawn(*size)
    rows = winograd.strip_of(size[0])
    whole = tf.function(lambda x, kernel: winograd.convolution(x, kernel, rows), autograph=False)
    traced = whole.get_concrete_function(
        tf.TensorSpec([count, *x.shape[1:]]), tf.TensorSpec(kernel.shape)
    )
    found = traced(tf.constant(x, tf.float32), tf.constant(kernel, tf.float32)).numpy()
    assert abs(found - exact(x, kernel)).max() < 4e-6 * abs(exact(x, kernel)).max()


def test_a_kernel_mixed_before_gives_the_same():
    x, kernel = drawn(32, 32)
    mixed = tf.constant(winograd.mixed_kernel(kernel), tf.float32)
    found = winograd.convolved(tf.constant(x, tf.float32), mixed).numpy()
    assert np.allclose(found, exact(x, kernel), atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(32, 32), (64, 32), (32, 96)])
@pytest.mark.parametrize("count", [2, None])
def test_along_both_axes_it_is_the_convolution(size, count):
    x, kernel = drawn(*size)
    mixed = tf.constant(winograd.mixed_kernel(kernel, nested=True), tf.float32)
    whole = tf.function(lambda x: winograd.convolved(x, mixed), autograph=False)
    traced = whole.get_concrete_function(tf.TensorSpec([count, *x.shape[1:]]))
    found = traced(tf.constant(x, tf.float32)).numpy()
    assert abs(found - exact(x, kernel)).max() < 4e-6 * abs(exact(x, kernel)).max()


def products(function, *given):
    """The multiplications in matrix products and convolutions of a graph."""
    graph = tf.function(function, autograph=False).get_concrete_function(*given).graph
    return sum(graphs.operations(op) for op in graph.get_operations()) / 2


@pytest.mark.slow
def test_along_both_axes_a_quarter_of_the_products_is_left():
    """With 512 channels nearly all are those of the kernel."""
    x, kernel = tf.TensorSpec([1, 64, 64, 512]), tf.TensorSpec([3, 3, 512, 512])
    nested = tf.TensorSpec([6, 6, 512, 512])
    plain = products(lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "SAME"), x, kernel)
    assert 0.25 < products(winograd.convolved, x, nested) / plain < 0.4


@pytest.mark.parametrize(
    ("use", "height", "dtype", "expected"),
    [
        ("drawing", 64, tf.float32, True),
        ("learning", 64, tf.float32, False),
        ("drawing", 40, tf.float32, False),
        ("drawing", 64, tf.bfloat16, False),
    ],
)
def test_pictures_are_drawn_along_both_axes_where_that_pays(
    monkeypatch, use, height, dtype, expected
):
    monkeypatch.setattr(winograd, "BLOCK_CHANNELS", 3)
    whole, seen = winograd.convolved, []

    def noted(x, kernel, rows=0):
        seen.append(kernel.shape[1] == winograd.PRODUCTS)
        return whole(x, kernel, rows)

    monkeypatch.setattr(winograd, "convolved", noted)
    x, kernel = (tf.constant(each, dtype) for each in drawn(height, 32))
    with cpu.allowed(use):
        found = winograd.convolution(x, kernel, winograd.strip_of(height))
    wanted, least = exact(*drawn(height, 32)), 4e-6 if dtype == tf.float32 else 0.02
    assert abs(tf.cast(found, tf.float64).numpy() - wanted).max() < least * abs(wanted).max()
    assert seen == [expected]


def test_blocks_need_whole_sides_and_channels(monkeypatch):
    monkeypatch.setattr(winograd, "BLOCK_CHANNELS", 3)
    assert winograd.nests(32, 64, 3)
    assert not winograd.nests(32, 64, 2) and not winograd.nests(32, 40, 3)


def test_in_bfloat16_it_rounds_some_bits_more():
    x, kernel = (tf.cast(each, tf.bfloat16) for each in drawn(64, 32, 16))
    found = tf.cast(winograd.convolution(x, kernel, 32), tf.float64).numpy()
    wanted = exact(*(tf.cast(each, tf.float64).numpy() for each in (x, kernel)))
    assert found.shape == wanted.shape
    assert 1e-3 < np.std(found - wanted) / np.std(wanted) < 1e-2


def test_strips_are_as_large_in_bytes():
    assert [winograd.strip_of(64, kind) for kind in (tf.float32, tf.bfloat16)] == [16, 32]
    assert [winograd.strip_of(40, kind) for kind in (tf.float32, tf.bfloat16)] == [20, 20]
    assert not winograd.strip_of(34) and not winograd.strip_of(12, tf.bfloat16)


def test_the_products_are_half_of_the_taps():
    rows = winograd.STRIPS[0]
    before, behind = winograd.strip_matrices(rows)
    assert len(before) * 2 == rows * 3 and behind.shape == (rows, len(before))


@pytest.mark.parametrize("size", [(8, 6), (12, 5), (64, 4)])
def test_gradients_of_gradients_are_those_of_the_convolution(size):
    """What R1 takes: of |gradient for x|^2 for the kernel; an image is one strip."""

    def found(convolve):
        x, kernel = (tf.constant(each, tf.float32) for each in drawn(*size))
        with tf.GradientTape() as outer:
            outer.watch(kernel)
            with tf.GradientTape() as inner:
                inner.watch([x, kernel])
                loss = tf.reduce_sum(convolve(x, kernel) ** 3)
            first = inner.gradient(loss, [x, kernel])
            second = tf.reduce_sum(first[0] ** 2)
        return [*first, outer.gradient(second, kernel)]

    plain = found(lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "SAME"))
    other = found(lambda x, kernel: winograd.convolution(x, kernel, size[0]))
    for one, two in zip(plain, other, strict=True):
        assert abs(one - two).numpy().max() < 2e-5 * abs(one).numpy().max()


def rows(use, height=32, width=32, channels=128, taps=3, dtype=tf.float32, count=8):
    """How many rows of such images are convolved so at once."""
    with cpu.allowed(use):
        x, weight = tf.zeros([count, height, width, channels], dtype), tf.zeros([taps, taps, 1, 1])
        return winograd.strip_for(x, weight)


def test_pictures_are_drawn_so_where_it_pays():
    assert rows("drawing") == 16 and rows("drawing", dtype=tf.bfloat16) == 32
    assert rows("none") == rows("drawing", taps=1) == 0
    assert rows("drawing", channels=64) == rows("drawing", width=31) == 0


def test_networks_learn_so_where_it_pays():
    assert rows("learning") == 32 and rows("learning", 64) == 64
    assert rows("learning", 8, 8, 64) == 8 and rows("learning", 8, 8, 64, count=1) == 0
    assert rows("learning", taps=1) == rows("learning", dtype=tf.bfloat16) == 0
    assert rows("learning", 64, channels=64) == rows("learning", channels=63) == 0
    assert rows("learning", 10) == rows("learning", 128) == 0
    assert rows("learning", 4, 4, 64, count=64) == 0


def test_on_a_gpu_nothing_is_allowed(monkeypatch):
    assert cpu.on_cpu("learning") == "learning"
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [kind])
    assert cpu.on_cpu("learning") == "none"


def test_what_is_allowed_ends():
    with cpu.allowed("learning"):
        pass
    x, weight = tf.zeros([1, 32, 32, 128]), tf.zeros([3, 3, 128, 1])
    assert not winograd.strip_for(x, weight)


@pytest.mark.parametrize("use", ["drawing", "learning"])
def test_layers_convolve_so_where_it_is_allowed(monkeypatch, use):
    x = tf.random.stateless_normal([1, 32, 32, 128], [1, 2])
    weight = tf.random.stateless_normal([3, 3, 128, 4], [3, 4])
    plain = layers.conv(x, weight)
    seen = []
    whole = winograd.convolution
    monkeypatch.setattr(winograd, "convolution", lambda *given: seen.append(1) or whole(*given))
    with cpu.allowed(use):
        other = layers.conv(x, weight)
    assert seen and abs(other - plain).numpy().max() < 4e-6 * abs(plain).numpy().max()


@pytest.mark.slow
def test_a_graph_has_each_matrix_once_and_asks_for_no_shape():
    """Of nine blocks, or four strips: what it takes to read a file is its number of operations."""
    for shape, kernel in [((None, 96, 96, 8), (6, 6, 8, 4)), ((None, 64, 40, 8), (6, 3, 8, 4))]:
        signature = tf.TensorSpec(shape), tf.TensorSpec(kernel)
        graph = tf.function(winograd.convolved, autograph=False).get_concrete_function(*signature)
        nodes = graph.graph.as_graph_def().node
        told = [node.attr["value"].tensor for node in nodes if node.op == "Const"]
        arrays = [tf.make_ndarray(each) for each in told]
        matrices = [(a.shape, a.tobytes()) for a in arrays if a.dtype == np.float32]
        assert len(matrices) > 1
        assert len(set(matrices)) == len(matrices)
        assert {"Shape", "Pack"}.isdisjoint(node.op for node in nodes)
