"""NVIDIA's pickles, exported, draw elsewhere what NVIDIA's own code drew."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.training.exchange.test_golden_pickles import PICKLES, close
from training import cli
from training.batches import encode
from training.deploy import export
from training.deploy.formats import FORMATS
from training.deploy.program import program
from training.exchange.opening import open_generator
from training.explore import assessing
from training.explore.model import Model, open_model

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of converters
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
IMAGES = {1.0: "image", 0.5: "image_psi05"}


@pytest.fixture(scope="module")
def golden(test_data):
    """By name: the pickle, and what NVIDIA's code made of it, pictures NHWC."""
    folder, found = test_data / "golden", {}
    for name, reference in PICKLES.items():
        known = dict(np.load(folder / f"{reference}_reference.npz"))
        known |= {n[:-5]: a.transpose(0, 2, 3, 1) for n, a in known.items() if n[-5:] == "_nchw"}
        found[name] = folder / f"{name}_nosource.pkl", known
    return found


@pytest.mark.parametrize("to", [to for to in FORMATS if to != "savedmodel"])
def test_every_float32_program_draws_their_pictures(golden, to, tmp_path):
    """Every pickle as a frozen graph; in other formats the one with classes and a clamp.

    A SavedModel has the same graph; what it draws is a law in test_formats.py.
    """
    places, wanted = [], []
    for name in PICKLES if to == "frozen" else ["ada32c"]:
        pickle, known = golden[name]
        made = program(open_generator(pickle), **FORMATS[to].kernels(""))
        file = tmp_path / f"{name}-model"
        FORMATS[to].write(made, file, "")
        for psi, image in IMAGES.items():
            inputs = {"z": known["z"].astype(np.float32), "psi": np.float32(psi)}
            if "c" in known:
                inputs["label"] = known["c"].argmax(axis=1).astype(np.int32)
            stem = tmp_path / f"{name}-{psi}"
            np.savez(f"{stem}-in.npz", **inputs)
            places += [file, f"{stem}-in.npz", f"{stem}-out.npz"]
            wanted.append(known[image])
    export.run_apart(to, places, tmp_path)
    for out, image in zip(places[2::3], wanted, strict=True):
        with np.load(out) as drawn:
            close(drawn["float"], image)
            assert abs(drawn["images"].astype(int) - encode(image)).max() <= 1


@pytest.mark.parametrize("name", ["ada32", "tf1_32", "ada32c"])
def test_their_tensors_come_back_under_their_names(golden, test_data, name, tmp_path):
    pickle, _ = golden[name]
    out = tmp_path / "tensors.npz"
    assert cli.main(["export", f"--model={pickle}", "--to=ada-pytorch", f"--out={out}"]) == 0
    theirs = np.load(test_data / "golden" / f"{PICKLES[name]}_weights.npz")
    known = [key for key in theirs.files if not key.endswith("resample_filter")]
    with np.load(out) as ours:
        for key in known:
            average = f"G_ema.{key[2:]}" if key.startswith("G.") else key
            for mine in {key, average}:
                assert ours[mine].shape == theirs[key].shape, mine
                np.testing.assert_allclose(ours[mine], theirs[key], rtol=0, atol=1e-7)
        about = json.loads(ours["about"].tobytes())
        assert len(ours.files) == 1 + len(known) + sum(key[:2] == "G." for key in known)
    assert about["G"]["synthesis_kwargs"]["channel_base"] == 512 and about["G"]["z_dim"] == 64


@pytest.mark.parametrize("name", PICKLES)
def test_generate_draws_their_pictures(golden, name, tmp_path, monkeypatch):
    pickle, known = golden[name]
    z = known["z"].astype(np.float32)
    monkeypatch.setattr(Model, "latents", lambda self, seeds: z[list(seeds)])
    monkeypatch.setattr(
        Model,
        "labels",
        lambda self, seeds, label: known.get("c", np.zeros((len(z), 0)))[list(seeds)],
    )
    words = [f"--model={pickle}", f"--seeds=0-{len(z) - 1}", "--psi=0.5", f"--out={tmp_path}"]
    assert cli.main(["generate", *words]) == 0
    drawn = [np.asarray(Image.open(tmp_path / f"seed{n:04d}.png")) for n in range(len(z))]
    off = np.stack(drawn).astype(int) - encode(known["image_psi05"])
    assert abs(off).max() <= 1 and (off != 0).mean() < 1e-3


@pytest.mark.parametrize("name", PICKLES)
def test_assess_scores_as_they_do(golden, name, monkeypatch):
    """Each real picture among those of its own group, which is company that may be given."""
    pickle, known = golden[name]
    monkeypatch.setattr(assessing, "decode", lambda images: images)
    judge = assessing.Judge(open_model(pickle, parts=("G_ema", "D")))
    real = known["real"].astype(np.float32)
    labels = known.get("c", np.zeros((len(real), 0))).astype(np.float32)
    groups = len(real) // min(judge.config.mbstd_group or len(real), len(real))
    found = []
    for at in range(len(real)):
        others = [n for n in range(at % groups, len(real), groups) if n != at]
        judge.company, judge.company_labels = real[others], labels[others]
        found.append(judge(real[at : at + 1], labels[at : at + 1])[0])
    close(np.array(found), known["d_real"][:, 0])
