"""Whatever a generator lies in opens to the same weights, and what does not says why."""

import dataclasses
import hashlib
import pickle
import pickletools
import tracemalloc

import numpy as np
import pytest

from atelier.arrays import CheckpointError, load_arrays, save_arrays
from atelier.errors import Refusal
from tests.kit import nvidia_pickles as kit
from tests.kit.nvidia_pickles import Call, pickled
from tests.kit.small_models import DEPTH, KINDS, WIDTHS, small_model
from training.deploy.formats import SUFFIXES
from training.exchange.conversion import begun_checkpoint
from training.exchange.described import describe_model
from training.exchange.npz import save_for_torch
from training.exchange.opening import open_generator
from training.exchange.pickles import NetworkFileError
from training.networks.architecture import Pair
from training.run.checkpoints import load_checkpoint, same_network, told_whole

ALL = ("G_ema", "G", "D")
OPCODES = [opcode.code for opcode in pickletools.opcodes]
LAYOUTS = {
    "ada-pytorch": kit.torch_pickle,
    "ada-pytorch, protocol 3": lambda given: kit.torch_pickle(given, protocol=3),
    "TensorFlow 1": kit.tf1_pickle,
    "TensorFlow 1, numpy 1": lambda given: kit.tf1_pickle(given, 3, core="numpy.core"),
    "TensorFlow 1, protocol 2": lambda given: kit.tf1_pickle(given, 2),
}


@pytest.fixture
def write(tmp_path):
    """A function that puts bytes into a file and returns its path."""

    def function(data, name="network.pkl"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return function


def checkpoint(path, given, **more):
    arrays = {f"{part}/{key}": v for part, known in given.items() for key, v in known.items()}
    save_arrays(path, arrays, {"network": Pair(kit.G, kit.D).saved(), "key": "0", **more})
    return path


def same_weights(opened, given, part):
    assert opened.arrays[part].keys() == given[part].keys()
    for key, value in opened.arrays[part].items():
        np.testing.assert_array_equal(value, given[part][key].astype(value.dtype), err_msg=key)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_pickle_holds_the_weights_that_were_written(write, layout):
    given = kit.weights()
    for part in given:  # what TensorFlow 1 stores 1 less comes back to the bit
        for key in given[part]:
            if key.endswith("affine/bias"):
                given[part][key] = np.round(given[part][key] * 64) / 64
    path = write(LAYOUTS[layout](given))
    opened = open_generator(path, ALL)
    assert opened.config == kit.G and opened.discriminator == kit.D
    for part in ALL:
        same_weights(opened, given, part)
    assert opened.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    alone = open_generator(path)
    assert set(alone.arrays) == {"G_ema"} and alone.discriminator is None


@pytest.mark.slow
def test_a_network_of_it_is_made_with_its_weights(write):
    given = kit.weights()
    opened = open_generator(write(kit.torch_pickle(given)), ALL)
    generator, discriminator = opened.network(), opened.network("D", recompute=True)
    assert generator.config == kit.G and discriminator.config.recompute
    for part, network in (("G_ema", generator), ("D", discriminator)):
        for key, variable in network.values.items():
            np.testing.assert_array_equal(variable, given[part][key])


def test_a_checkpoint_and_its_run_and_a_small_file_open(tmp_path):
    given = kit.weights()
    run = tmp_path / "run"
    counters = {"seen": 1000, "minibatches": 9, "tally": {}}
    path = checkpoint(run / "checkpoints" / "0000001000.npz", given, counters=counters)
    half = {"G_ema": {k: v.astype(np.float16) for k, v in given["G_ema"].items()}}
    small = checkpoint(tmp_path / "small.npz", half)
    for where, source in ((path, "a checkpoint"), (run, "a checkpoint"), (small, "apart")):
        opened = open_generator(where, ALL)
        assert source in opened.source and opened.config == kit.G
        same_weights(opened, half if where == small else given, "G_ema")
        assert set(opened.arrays) == ({"G_ema"} if where == small else set(ALL))
    with pytest.raises(NetworkFileError, match="has no D"):
        open_generator(small).network("D")


def test_weights_with_another_learning_rate_are_the_same_function(write):
    given = kit.weights()
    path = write(kit.tf1_pickle(given, mapping_lrmul=0.02))
    found = open_generator(path).arrays["G_ema"]
    np.testing.assert_allclose(
        found["mapping/fc1/weight"], 2 * given["G_ema"]["mapping/fc1/weight"], rtol=1e-6
    )
    np.testing.assert_array_equal(
        found["mapping/embed/weight"], given["G_ema"]["mapping/embed/weight"]
    )


def without(key, part="G_ema"):
    given = kit.weights()
    del given[part][key]
    return given


def changed(key, value, part="G_ema"):
    given = kit.weights()
    given[part][key] = value
    return given


def test_a_pickle_of_the_average_alone_opens_and_one_without_is_refused(write):
    objects = kit.torch_objects(kit.weights())
    path = write(pickled({"G_ema": objects["G_ema"]}))
    assert open_generator(path, ALL).discriminator is None
    with pytest.raises(NetworkFileError, match=r"network.pkl has no G_ema"):
        open_generator(write(pickled({"G": objects["G"], "D": objects["D"]})))


def stylegan3(**kwargs):
    entry = kit.module("SynthesisInput")
    synthesis = kit.module("SynthesisNetwork", modules={"input": entry}, **kwargs)
    return pickled({"G_ema": kit.module("Generator", modules={"synthesis": synthesis}, **kwargs)})


def stylegan1(version=3, function="G_style"):
    state = {"version": version, "static_kwargs": {}, "build_func_name": function}
    network = Call(("dnnlib.tflib.network", "Network"), state=state | {"variables": []})
    return pickled((network, network, network))


def labels_of_stylegan2():
    """G as StyleGAN2's first code made it for labels, which no other code reads."""
    variables = {"LabelConcat/weight": np.zeros((2, 5)), "Dense0/weight": np.zeros((10, 4))}
    mapping = kit.tf1_network("G_mapping", variables)
    network = kit.tf1_network("G_main", {}, {"mapping": mapping}, resolution=8, label_size=2)
    return pickled((network, network, network))


WHOLE = kit.torch_pickle(kit.weights())
REFUSED = {
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "is no pickle"),
    "nothing": (b"", "is no pickle"),
    "half of it": (WHOLE[: len(WHOLE) // 2], "is truncated"),
    "words": (pickle.dumps({"a": 1}), "is a pickle, but not of a network"),
    "a command": (pickled(Call(("os", "system"), "exit")), "wants 'os.system'"),
    "StyleGAN3-T": (stylegan3(), "is a network of StyleGAN3-T"),
    "StyleGAN3-R": (stylegan3(conv_kernel=1), "is a network of StyleGAN3-R"),
    "StyleGAN1": (stylegan1(), "is a network of StyleGAN1 or ProGAN"),
    "StyleGAN1 written later": (stylegan1(4), r"is a network of StyleGAN1 \(G_style\)"),
    "labels of StyleGAN2": (labels_of_stylegan2(), r"\(mapping/LabelConcat/weight\)"),
    "another class": (kit.torch_pickle(kit.weights(), kind="Gigagan"), "called 'Gigagan'"),
    "another function": (stylegan1(4, "G_big"), "called 'G_big'"),
    "a tensor missing": (
        kit.torch_pickle(without("synthesis/b8/conv0/affine/bias")),
        r"without synthesis\.b8\.conv0\.affine\.bias",
    ),
    "a tensor missing in TensorFlow 1": (
        kit.tf1_pickle(without("synthesis/b8/conv0/bias")),
        "without synthesis/8x8/Conv0_up/bias",
    ),
    "another shape": (
        kit.torch_pickle(changed("synthesis/b4/conv1/bias", np.zeros(3, np.float32))),
        r"synthesis\.b4\.conv1\.bias is \(3,\)",
    ),
    "a tensor too many": (
        kit.torch_pickle(changed("mapping/fc0/scale", np.zeros(3, np.float32))),
        r"with 'mapping\.fc0\.scale'",
    ),
    "no numbers": (
        kit.torch_pickle(changed("mapping/w_avg", np.full(4, np.nan, np.float32))),
        r"mapping\.w_avg that is not finite",
    ),
    "no power of two": (kit.torch_pickle(kit.weights(), img_resolution=24), "24 as the resolution"),
    "two channels": (kit.torch_pickle(kit.weights(), img_channels=2), "1, 3 or 4 channels, not 2"),
    "words as a number": (kit.torch_pickle(kit.weights(), z_dim="5"), "'5' as the length of z"),
    "other widths": (kit.tf1_pickle(kit.weights(), fmap_max=5), "does not go with"),
    "another filter": (kit.tf1_pickle(kit.weights(), resample_kernel=[1, 2, 1]), r"\[1, 2, 1\]"),
    "another activation": (kit.tf1_pickle(kit.weights(), nonlinearity="relu"), "'relu'"),
    "another G": (kit.tf1_pickle(kit.weights(), architecture="resnet"), "G's architecture"),
    "a list for a number": (kit.tf1_pickle(kit.weights(), fmap_base=[1]), "channel_base"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_opened_is_one_sentence_that_names_the_file(write, kind):
    data, sentence = REFUSED[kind]
    with pytest.raises(NetworkFileError, match=sentence) as refusal:
        open_generator(write(data))
    assert "network.pkl" in str(refusal.value) and "\n" not in str(refusal.value)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(NetworkFileError, match="does not exist"):
        open_generator(tmp_path / "none.pkl")
    (tmp_path / "lfs.npz").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(NetworkFileError, match="is a pointer of Git LFS"):
        open_generator(tmp_path / "lfs.npz")
    with pytest.raises(CheckpointError, match="is no run"):
        open_generator(tmp_path)


def mutated(data, rng):
    """A pickle with some bytes changed, left out, doubled or put in, or its end cut off."""
    data, kind = bytearray(data), rng.integers(5)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(data)))
        if kind == 0:
            data[at] = rng.integers(256)
        elif kind == 1:
            del data[at : at + int(rng.integers(1, 9))]
        elif kind == 2:
            data[at:at] = data[at : at + int(rng.integers(1, 9))]
        elif kind == 3:
            data[at:at] = OPCODES[rng.integers(len(OPCODES))].encode("latin-1")
        else:
            del data[max(at, 1) :]
    return bytes(data)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["ada-pytorch", "TensorFlow 1"])
def test_whatever_happens_to_a_pickle_it_opens_or_is_refused(write, layout):
    data, rng = LAYOUTS[layout](kit.weights()), np.random.default_rng(0)
    outcomes = {"opened": 0, "refused": 0}
    tracemalloc.start()
    for number in range(150):
        if number == 50:  # to follow each allocation takes four times as long
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        try:
            opened = open_generator(write(mutated(data, rng)), ALL)
        except Refusal as error:
            assert "\n" not in str(error) and len(str(error)) < 400
            outcomes["refused"] += 1
        else:
            shapes = {key: entry.shape for key, entry in kit.TABLES["G"].items()}
            if dataclasses.replace(opened.config, conv_clamp=3.0) == kit.G:
                assert {k: v.shape for k, v in opened.arrays["G_ema"].items()} == shapes
            outcomes["opened"] += 1
    assert min(outcomes.values()) > 0 and peak < 20e6


SAID = {"G": {**KINDS["rgb"], **WIDTHS, **DEPTH}, "D": {**KINDS["rgb"], **WIDTHS}}
SAYS = {"key": "0", "network": SAID, "counters": {"seen": 0, "minibatches": 0, "tally": {}}}
WHAT_CANNOT_BE = [
    None,
    True,
    -1,
    1.5,
    10**9,
    10**30,
    10**400,
    float("nan"),
    float("inf"),
    "x",
    "",
    [1],
    {},
]


def places(said, *above):
    """The path of each thing that a file says."""
    yield above
    for name, value in said.items() if isinstance(said, dict) else ():
        yield from places(value, *above, name)


def with_other(said, path, value):
    """The same, but for what stands at a path."""
    if not path:
        return value
    return {**said, path[0]: with_other(said[path[0]], path[1:], value)}


def gone_on_from(path):
    """As a run asks of its own checkpoints that was begun with these networks."""
    same_network(SAID, told_whole(load_checkpoint(path)).about["network"], path)


def test_what_a_newer_version_says_of_its_networks_is_named(tmp_path):
    arrays, _ = load_arrays(small_model(tmp_path / "1.npz", "rgb", discriminator=False))
    newer = with_other(SAYS, ("network", "G"), SAID["G"] | {"heads": 2})
    older = with_other(SAYS, ("network", "D"), {"width": 32})
    for said, why in ((newer, "networks here have no heads: a newer"), (older, "it has no height")):
        save_arrays(tmp_path / "2.npz", arrays, said)
        for ask in (describe_model, open_generator, gone_on_from):
            with pytest.raises(Refusal, match=rf"2\.npz does not say .* it is of: {why}"):
                ask(tmp_path / "2.npz")


@pytest.mark.slow
@pytest.mark.parametrize("path", [*places(SAYS)], ids=".".join)
def test_whatever_a_file_says_of_its_networks_it_is_opened_or_refused(tmp_path, path):
    arrays, _ = load_arrays(small_model(tmp_path / "1.npz", "rgb", discriminator=False))
    for value in WHAT_CANNOT_BE:
        save_arrays(tmp_path / "2.npz", arrays, with_other(SAYS, path, value))
        for ask in (describe_model, open_generator, begun_checkpoint, gone_on_from):
            try:
                ask(tmp_path / "2.npz")
            except Refusal as error:
                assert "2.npz" in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("kind", ["U1", "S1", "c8", "M8[s]", "nan", "inf"])
def test_weights_that_are_no_finite_numbers_are_refused(tmp_path, kind):
    arrays, about = load_arrays(small_model(tmp_path / "1.npz", "rgb"))
    for name in ("G_ema/mapping/w_avg", "D/b4/out/bias"):
        own = arrays[name]
        other = own * float(kind) if kind in ("nan", "inf") else np.zeros(own.shape, kind)
        save_arrays(tmp_path / "2.npz", {**arrays, name: other}, about)
        with pytest.raises(CheckpointError, match=rf"2\.npz holds no finite numbers in {name}: "):
            open_generator(tmp_path / "2.npz", ALL)


FOR_OTHERS = {  # format of `export` -> how its file begins, and what is said of it
    "savedmodel": (b"", "a SavedModel"),
    "frozen": (b"\n\x0b\n\x01z", "a graph of TensorFlow's"),
    "tflite": (b"\x1c\0\0\0TFL3", "a file of TFLite"),
    "onnx": (b"\x08\x08", "a file of ONNX"),
    "ada-pytorch": (b"", "a file of tensors for ada-pytorch"),
}


@pytest.mark.parametrize("opens", [open_generator, describe_model])
@pytest.mark.parametrize("to", sorted(SUFFIXES.keys() - {"npz"}))
def test_what_was_exported_for_others_is_refused_by_what_it_is(tmp_path, to, opens):
    head, kind = FOR_OTHERS[to]
    path = tmp_path / f"model{SUFFIXES[to]}"
    if to == "savedmodel":
        path.mkdir()
        (path / "saved_model.pb").touch()
    elif to == "ada-pytorch":
        save_for_torch(path, open_generator(small_model(tmp_path / "small.npz", "rgb")))
    else:
        path.write_bytes(head)
    told = f"model{SUFFIXES[to]} is {kind}, for other programs: name the run, .npz or .pkl that it"
    with pytest.raises(NetworkFileError, match=told):
        opens(path)


@pytest.mark.parametrize("suffix", [".onnx", ".pb", ".tflite"])
def test_a_generator_opens_whatever_it_is_called(tmp_path, suffix):
    path = small_model(tmp_path / "small.npz", "rgb").rename(tmp_path / f"small{suffix}")
    assert describe_model(path).config == open_generator(path).config
