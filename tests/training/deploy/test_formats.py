"""Laws of the deployed formats: each draws what the generator draws, without Atelier, on a CPU."""

import numpy as np
import pytest

from tests.kit.made_generators import KINDS, opened
from training.deploy import export
from training.deploy.formats import FORMATS, QUANTIZED
from training.deploy.program import program

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of converters
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
WAYS = [(to, "") for to in FORMATS]
WAYS += [(to, each) for to in FORMATS if FORMATS[to].quantizes for each in QUANTIZED]
# "rgb" has nothing that another kind has not; "wide" has classes here.
STARTS = [("rgba", "z"), ("wide", "z"), ("student", "z"), ("grey", "w")]
QUANTIZED_STARTS = [("rgba", "z"), ("grey", "w")]  # what the floats of all kinds hold is held
SIGNED = [("wide", "z"), ("grey", "w")]  # all inputs; no operation is converted
LEAST_PSNR = {"float16": 50, "int8": 28}  # dB


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("deployed")


@pytest.fixture(scope="module")
def generators(folder):
    """By kind and start: the generator, what its program takes, its own pictures."""
    made = {}
    for kind, start in STARTS:
        more = {"labels": 3} if kind == "wide" else {}
        found = opened(kind, folder / f"{kind}.npz", **more)
        inputs = export.example_inputs(found.network(), start, range(3))
        own = export.drawn_here(found.network(), inputs)
        made[kind, start] = found, inputs, own
    return made


def deployed(way, generators, folder):
    """By kind and start: a file's outputs and the generator's own, all read by one process."""
    (to, quantize), places = way, []
    starts = QUANTIZED_STARTS if quantize else SIGNED if to == "savedmodel" else STARTS
    for kind, start in starts:
        found, inputs, _ = generators[kind, start]
        made = program(found, start, **FORMATS[to].kernels(quantize))
        stem = folder / f"{to}{quantize}-{kind}-{start}"
        FORMATS[to].write(made, stem, quantize)
        np.savez(f"{stem}-in.npz", **inputs)
        places += [stem, f"{stem}-in.npz", f"{stem}-out.npz"]
    export.run_apart(to, places, folder)
    outputs = [dict(np.load(place)) for place in places[2::3]]
    return {one: (drawn, generators[one][2]) for one, drawn in zip(starts, outputs, strict=True)}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(filter(None, way)))
def test_a_file_draws_what_its_generator_draws(way, generators, folder):
    for kind, (outputs, own) in deployed(way, generators, folder).items():
        config = KINDS[kind[0]]
        shape = (3, config["height"], config["width"], config.get("channels", 3))
        assert {name: (x.dtype, x.shape) for name, x in outputs.items()} == {
            "images": (np.uint8, shape),
            "float": (np.float32, shape),
        }, kind
        assert outputs["images"].std() > 10, kind
        difference = export.differing(outputs, own)
        if way[1]:
            assert difference.psnr >= LEAST_PSNR[way[1]], kind
        else:
            assert difference.floats <= 2e-5 and difference.levels <= 1, (kind, difference)


def test_only_plain_convolutions_and_dense_layers_are_in_the_program(generators):
    graph = program(generators["rgba", "z"][0]).traced().graph.as_graph_def()
    assert not graph.library.function
    assert {node.device for node in graph.node} == {""}
    used = [node.op for node in graph.node]
    assert {"Conv2D", "Conv2DBackpropInput", "DepthwiseConv2dNative", "MatMul"} <= set(used)
    assert not {"Sqrt", "RandomStandardNormal", "StatelessRandomNormalV2"} & set(used)
    # Levels 4, 8, 16: each with one of the same size and a product to RGB; two with one raised, and
    # an image doubled.
    kinds = "Conv2D", "BatchMatMulV2", "Conv2DBackpropInput", "DepthToSpace"
    assert [used.count(op) for op in kinds] == [5, 3, 2, 2]
