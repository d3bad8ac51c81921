"""Programs with other kernels draw what the generator draws, as the sampler does."""

import numpy as np
import pytest
import tensorflow as tf

from tests.kit.made_generators import opened
from training.batches import encode
from training.deploy import export, parts
from training.deploy.formats import FORMATS
from training.deploy.program import doubled, program
from training.networks import layers, winograd
from training.sampler import Sampler

GRADIENT = "_gradient_op_type"  # of an operation: TensorFlow warns of it
WIDE = {"height": 32, "width": 32, "fmap_base": 2048, "fmap_max": 128}  # enough at 32 pixels


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return opened("rgb", tmp_path_factory.mktemp("made") / "g.npz", **WIDE)


@pytest.mark.slow
def test_a_student_has_no_gradients_of_its_own(tmp_path):
    made = program(opened("student", tmp_path / "g.npz"))
    graphs = [made.traced(1), *parts.Parts(made).signatures().values()]
    named = [n.name for g in graphs for n in g.graph.as_graph_def().node if GRADIENT in n.attr]
    assert not named


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_are_doubled_as_by_zero_insertion(channels):
    image = tf.random.stateless_normal([2, 5, 7, channels], [0, 1])
    np.testing.assert_allclose(doubled(image), layers.up2(image), rtol=1e-6, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "phased", "nested"), [(None, False, False), (1, True, False), (1, False, True)]
)
def test_a_fast_program_draws_the_same(monkeypatch, found, count, phased, nested):
    monkeypatch.setattr(winograd, "BLOCK_CHANNELS", 128 if nested else 129)
    made = program(found, mixed=True, phased=phased)
    inputs = export.example_inputs(found.network(), "z", [5])
    (kernel,) = (value for name, value in made.values.items() if name.endswith("mixed"))
    assert kernel.shape[1] == (6 if nested else 3)
    assert any(name.endswith("even") for name in made.values) == phased
    drawn = made.traced(count)(**{name: tf.constant(value) for name, value in inputs.items()})
    own = export.drawn_here(found.network(), inputs)
    assert abs(drawn["float"] - own).numpy().max() <= 2e-5 * max(abs(own).max(), 1)


@pytest.mark.slow
@pytest.mark.parametrize("least", [128, 129])  # channels: along both axes, along one
@pytest.mark.parametrize("once", [False, True])
def test_the_sampler_draws_the_same(monkeypatch, found, least, once):
    monkeypatch.setattr(winograd, "BLOCK_CHANNELS", least)
    generator = found.network()
    if once:
        generator = generator.with_kernels()
        kernels = [value for name, value in generator.values.items() if name.endswith("/kernel")]
        assert len(kernels) == 7  # of all layers: of 128 channels none is larger than its kernel
        assert kernels[-1].shape[:2] == ((6, 6) if least == 128 else (6, 3))
    inputs = export.example_inputs(generator, "z", [5])
    own = encode(export.drawn_here(generator, inputs)).astype(int)
    drawn = Sampler(generator, 1)(inputs["z"], psi=float(inputs["psi"])).astype(int)
    assert own.std() > 10 and np.abs(drawn - own).max() <= 1


@pytest.mark.slow
def test_kernels_that_are_made_once_are_rounded_no_more(found):
    """In bfloat16: pictures are about as far from those in float32 as with others."""
    inputs = export.example_inputs(found.network(), "z", [5, 6])
    half, psi = found.network(dtype="bfloat16"), float(inputs["psi"])

    def drawn(generator):
        return Sampler(generator, 1)(inputs["z"], psi=psi).astype(float)

    exact, plain, once = map(drawn, (found.network(), half, half.with_kernels()))
    assert 0.1 < np.std(once - exact) < 1.5 * np.std(plain - exact)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the converter
def test_a_converter_makes_no_constant_of_noise_and_bias(tmp_path):
    made = program(opened("rgb", tmp_path / "g.npz", height=64, width=64), phased=True)
    FORMATS["tflite"].write(made, tmp_path / "file", "")
    weights = sum(value.numpy().nbytes for value in made.values.values())
    assert (tmp_path / "file").stat().st_size < weights + 200_000


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the converter
def test_a_quantized_file_has_plain_kernels_and_float32_draws_the_same_with_mixed(
    monkeypatch, found, tmp_path
):
    weights = sum(value.numpy().size for value in program(found).values.values())
    file = tmp_path / "small.tflite"
    plain = program(found, **FORMATS["tflite"].kernels("float16"))
    FORMATS["tflite"].write(plain, file, "float16")
    assert abs(file.stat().st_size - 2 * weights) < 200_000
    for least, more in ((128, 27), (129, 9)):  # numbers of a kernel
        monkeypatch.setattr(winograd, "BLOCK_CHANNELS", least)
        file = tmp_path / f"{least}.tflite"
        assert export.export_program(found, "tflite", file).floats <= 2e-5
        wide = more * 128**2  # of the one layer that is mixed
        assert abs(file.stat().st_size - 4 * (weights + wide)) < 200_000
