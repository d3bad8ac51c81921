"""A generator written as one small file draws what its checkpoint drew."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from atelier.arrays import CheckpointError, save_arrays
from tests.kit import nvidia_pickles as kit
from tests.kit.small_models import KINDS, small_model
from tests.training.networks.test_networks import TINY
from training import cli
from training.exchange.names import from_torch, torch_name
from training.exchange.npz import save_for_torch, save_generator
from training.exchange.opening import open_generator
from training.exchange.pickles import NetworkFileError
from training.networks.architecture import saved_pair
from training.networks.generator import Generator
from training.run import grids
from training.run.checkpoints import Checkpoint
from training.sampler import Sampler

NETWORK = {**TINY, "height": 16, "width": 16, "labels": 3}


@pytest.fixture
def checkpoint(tmp_path):
    """What a run would have kept, with parts that only training needs."""
    averaged = Generator(saved_pair(NETWORK).generator, start=3)
    arrays = {f"G_ema/{name}": value.numpy() for name, value in averaged.values.items()}
    arrays |= {"G/mapping/w_avg": np.zeros(16, np.float32), "loss/p": np.float32(0)}
    about = {"key": "0123456789", "network": NETWORK, "counters": {"seen": 1000}}
    return Checkpoint(tmp_path / "0000001000.npz", arrays, about)


@pytest.fixture
def written(checkpoint, tmp_path):
    path = tmp_path / "model.npz"
    save_arrays(checkpoint.path, checkpoint.arrays, checkpoint.about)
    save_generator(path, open_generator(checkpoint.path))
    return path


def drawn(path):
    generator = open_generator(path).network()
    z = grids.seeded_latents(range(6), generator.config.z_dim)
    labels = grids.seeded_labels(range(6), generator.config.labels)
    return Sampler(generator, len(z))(z, labels, 0.7).astype(int)


@pytest.mark.slow
def test_half_the_bytes_draw_the_same_pictures(checkpoint, written):
    before, after = drawn(checkpoint.path), drawn(written)
    assert before.std() > 10
    assert abs(after - before).max() <= 3
    assert written.stat().st_size < 0.7 * checkpoint.path.stat().st_size


@pytest.mark.slow
def test_only_the_generator_is_in_it_and_what_it_is(written):
    with np.load(written) as file:
        kinds = {name.split("/")[0]: file[name].dtype for name in file.files if name != "about"}
        assert kinds == {"G_ema": np.float16}
        about = file["about"].tobytes()
    for word in (b'"fmap_base": 64', b'"seen": 1000', b'"key": "0123456789"'):
        assert word in about


@pytest.mark.slow
def test_the_command_draws_from_it(written, tmp_path, capsys):
    assert cli.main(["generate", f"--run={written}", "--seeds=0-5", f"--out={tmp_path}"]) == 0
    pictures = [np.asarray(Image.open(tmp_path / f"seed{n:04d}.png")) for n in range(6)]
    np.testing.assert_array_equal(np.stack(pictures), drawn(written))


@pytest.mark.slow
def test_a_weight_that_float16_cannot_hold_is_named(checkpoint, tmp_path):
    checkpoint.arrays["G_ema/mapping/w_avg"][0] = 1e5
    save_arrays(checkpoint.path, checkpoint.arrays, checkpoint.about)
    with pytest.raises(CheckpointError, match=r"mapping/w_avg of .* holds 1e\+05"):
        save_generator(tmp_path / "model.npz", open_generator(checkpoint.path))
    assert not (tmp_path / "model.npz").exists()


def test_ada_pytorchs_layout_is_taken_back(tmp_path):
    """Every tensor, of a conditional pair: what is written is what their pickle holds."""
    pickle, out = tmp_path / "network.pkl", tmp_path / "tensors.npz"
    pickle.write_bytes(kit.torch_pickle(kit.weights()))
    assert cli.main(["export", f"--model={pickle}", "--to=ada-pytorch", f"--out={out}"]) == 0
    with np.load(out) as file:
        about = json.loads(file["about"].tobytes())
        for part, known in kit.weights().items():
            for key, value in known.items():
                theirs = file[f"{part}.{torch_name(key)}"]
                assert theirs.dtype == np.float32
                assert theirs.shape == kit.in_torch(key, value).shape
                np.testing.assert_array_equal(theirs, kit.in_torch(key, value))
                np.testing.assert_array_equal(from_torch(key, theirs), value)
        assert len(file.files) == 1 + sum(len(known) for known in kit.weights().values())
    assert about["G"]["c_dim"] == 2 and about["G"]["mapping_kwargs"] == {"num_layers": 2}
    assert about["G"]["synthesis_kwargs"] == {
        "channel_base": 32,
        "channel_max": 6,
        "conv_clamp": 3.0,
    }
    assert about["D"]["epilogue_kwargs"] == {"mbstd_group_size": 2}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_is_written_in_both_forms(tmp_path, kind):
    model = small_model(tmp_path / "model.npz", kind)
    small, tensors, opened = tmp_path / "s.npz", tmp_path / "t.npz", open_generator(model)
    assert cli.main(["export", f"--model={model}", f"--out={small}"]) == 0
    assert open_generator(small).config == opened.config
    words = ["export", f"--model={model}", "--to=ada-pytorch", f"--out={tensors}"]
    assert cli.main(words) == (2 if kind in ("not square", "student") else 0)
    if tensors.exists():
        with np.load(tensors) as file:
            for name, value in opened.arrays["G_ema"].items():
                np.testing.assert_array_equal(
                    from_torch(name, file[f"G_ema.{torch_name(name)}"]), value
                )


def test_what_ada_pytorch_has_not_is_refused(tmp_path, capsys):
    model = small_model(tmp_path / "wide.npz", "not square")
    words = [f"--model={model}", "--to=ada-pytorch", f"--out={tmp_path / 'out.npz'}"]
    assert cli.main(["export", *words]) == 2
    assert capsys.readouterr().err == (
        f"error: {model} draws 20 x 12: ada-pytorch's networks are square, their side a power of"
        " two\n"
    )


def test_a_d_with_another_last_layer_is_refused(tmp_path):
    opened = open_generator(small_model(tmp_path / "a.npz", "rgb"))
    judge = replace(opened.discriminator, epilogue_channels=5)
    with pytest.raises(
        NetworkFileError, match=r"a\.npz has a D whose last dense layer makes 5 num"
    ):
        save_for_torch(tmp_path / "out.npz", replace(opened, discriminator=judge))
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        ({"z_dim": 8}, "is no generator of its network: mapping/fc0/weight is"),
        ({"mapping_layers": 3}, "is no generator of its network: mapping/fc2/weight is missing"),
        ({"depth": 3}, "does not say what network it is of"),
    ],
)
def test_weights_of_another_network_are_refused(checkpoint, network, sentence):
    about = checkpoint.about | {"network": NETWORK | network}
    save_arrays(checkpoint.path, checkpoint.arrays, about)
    with pytest.raises(CheckpointError, match=sentence):
        open_generator(checkpoint.path).network()
