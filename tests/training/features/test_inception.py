"""The Inception wrapper equals pytorch-fid. Runs in a process of its own: TensorFlow is in ours."""

import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.metrics import scores

pytestmark = pytest.mark.slow
SIZES = [(300, 200), (64, 64), (299, 299), (180, 333), (512, 400), (120, 90), (301, 299)]


@pytest.fixture(scope="module")
def child(tmp_path_factory, inception_weights):
    """Calls a function of this file in a process that has torch."""
    given = tmp_path_factory.mktemp("inception"), inception_weights
    context = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=begin, initargs=given) as pool:
        yield lambda function, *arguments: pool.submit(function, *arguments).result()


def begin(folder, weights):
    import os

    warnings.simplefilter("error")
    os.environ["TORCH_HOME"] = str(folder)
    weights_file().parent.mkdir(parents=True)
    weights_file().symlink_to(weights)

    import torch

    torch.set_num_threads(1)


def weights_file():
    """Where pytorch-fid keeps its download."""
    import os

    return Path(os.environ["TORCH_HOME"], "hub/checkpoints/pt_inception-2015-12-05-6726825d.pth")


@cache
def inception(dims=2048, dtype="float32"):
    from training.features.inception import Inception

    return Inception(weights_file(), dims, dtype)


def made(seed, size):
    """A picture with coarse and fine detail."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC))
    return np.clip(pixels + rng.normal(0, 12, pixels.shape), 0, 255).astype(np.uint8)


def pictures(count):
    return [made(number, SIZES[number % len(SIZES)]) for number in range(count)]


def both_ways(dims, folder):
    """Features of PNG files of mixed sizes, by pytorch-fid itself and by us."""
    from pytorch_fid.fid_score import get_activations
    from pytorch_fid.inception import InceptionV3

    paths = [Path(folder, f"{number}.png") for number in range(3)]
    for path, picture in zip(paths, pictures(3), strict=True):
        Image.fromarray(picture).save(path)
    network = InceptionV3([InceptionV3.BLOCK_INDEX_BY_DIM[dims]])
    theirs = get_activations(paths, network, batch_size=1, dims=dims, num_workers=0)
    return theirs, inception(dims)(np.asarray(Image.open(path)) for path in paths)


@pytest.mark.parametrize("dims", [64, 768, 2048])
def test_features_are_pytorch_fids(child, tmp_path, dims):
    theirs, ours = child(both_ways, dims, tmp_path)
    assert ours.shape == (3, dims) and ours.dtype == np.float32
    assert np.linalg.norm(ours - theirs) < 1e-5 * np.linalg.norm(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def from_the_download():
    from training.features.inception import Inception

    return Inception(None, 64)(pictures(1)), inception(64)(pictures(1))


def test_without_a_file_the_download_is_used(child):
    np.testing.assert_array_equal(*child(from_the_download))


def seen_smaller():
    """Inception sees a fifth of the pixels: without a processor for bfloat16 it takes seconds."""
    from unittest.mock import patch

    return patch("training.features.inception.SIDE", 139)


@cache
def features_of_eight(dtype):
    with seen_smaller():
        return inception(2048, dtype)(pictures(8))


def cut_differently(dtype):
    """The last picture and the first, each in its batch of four, and in one of two."""
    network, (first, *_, last) = inception(2048, dtype), pictures(8)
    with seen_smaller():
        return features_of_eight(dtype)[[7, 0]], network([last, first]), network([])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_features_do_not_depend_on_how_the_work_is_cut(child, dtype):
    whole, pair, none = child(cut_differently, dtype)
    assert whole.tobytes() == pair.tobytes()
    assert none.shape == (0, 2048)


def test_bfloat16_moves_scores_by_less_than_a_percent(child):
    from pipeline.stages.filter_pose import Gaussian

    scores = []
    for dtype in ("float32", "bfloat16"):
        features = child(features_of_eight, dtype)
        likeness = Gaussian(features[:6].astype(np.float64))
        scores.append([likeness(vector) for vector in features])
    np.testing.assert_allclose(scores[1], scores[0], rtol=0.01)


def without_one_step():
    from unittest.mock import patch

    from training.features.inception import Inception

    with seen_smaller(), patch("training.features.inception.has_one_step", lambda *_: False):
        return Inception(weights_file())(pictures(2)), features_of_eight("float32")[:2]


def test_plain_torch_computes_the_same(child):
    plain, ours = child(without_one_step)
    np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-4)


def frechet(dims, count):
    """FID of one picture by pytorch-fid: with no covariance, and as a set of two copies."""
    from pytorch_fid.fid_score import calculate_frechet_distance

    features = inception(dims)(pictures(12 + count)).astype(np.float64)
    reference = features[:12]
    mean, covariance = reference.mean(axis=0), np.cov(reference, rowvar=False)
    ones, twos = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy's sqrtm(disp=) and singular matrices
        for vector in features[12 : 12 + count]:
            nothing, copies = np.zeros_like(covariance), np.stack([vector, vector])
            ones.append(calculate_frechet_distance(vector, nothing, mean, covariance))
            moments = copies.mean(axis=0), np.cov(copies, rowvar=False)
            twos.append(calculate_frechet_distance(*moments, mean, covariance))
    return features, ones, twos


@pytest.mark.parametrize(("dims", "count"), [(64, 3), (192, 1)])  # more take half a minute
def test_the_score_is_pytorch_fids(child, dims, count):
    from pipeline.stages.filter_pose import Gaussian

    features, ones, twos = child(frechet, dims, count)
    likeness = Gaussian(features[:12])
    scores = [likeness(vector) for vector in features[12 : 12 + count]]
    np.testing.assert_allclose(scores, ones, rtol=1e-6)
    np.testing.assert_allclose(scores, twos, rtol=1e-6)


def what_it_says(weights, home=None):
    """The error's class and message, and the features process's; `home` is empty, for downloads."""
    from unittest.mock import patch
    from urllib.error import URLError

    from training.features.inception import Inception
    from training.features.server import build_network

    wanted = {"kind": "inception", "weights": str(weights or ""), "threads": 1}
    with (
        patch.dict("os.environ", {"TORCH_HOME": str(home)} if home else {}),
        patch("torch.hub.urlopen", side_effect=URLError("no network")),
    ):
        with pytest.raises((ValueError, OSError)) as error:
            Inception(weights)
        with pytest.raises(error.type) as served:
            build_network(wanted, "cpu")
    return error.type, str(error.value), str(served.value)


def test_no_network_and_no_file_names_the_ways_out(child, tmp_path):
    kind, said, served = child(what_it_says, None, tmp_path)
    assert kind is ConnectionError
    assert said == (
        "Inception's weights cannot be downloaded (<urlopen error no network>): make"
        " https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
        "pt_inception-2015-12-05-6726825d.pth reachable, or name a file that has them:"
        " [Embed] weights = FILE for a dataset, --inception FILE for metrics"
    )
    assert served == (
        f"{said}; or measure with --standin random-inception, or where the data has classes with"
        " --standin classifier: figures that are no FID"
    )


def write_others(folder):
    import torch

    torch.save({"layer": torch.zeros(2)}, folder / "others.pth")
    torch.save([1], folder / "list.pth")
    (folder / "text.pth").write_text("not weights at all")
    (folder / "empty.pth").write_bytes(b"")
    (folder / "truncated.pth").write_bytes(weights_file().read_bytes()[:100_000])


def served(weights):
    """The label of a network that is no stand-in, as the features process gives it."""
    from training.features.server import build_network

    net, label, _ = build_network({"kind": "inception", "weights": weights, "threads": 1}, "cpu")
    return net.dims, label


def test_weights_that_are_not_the_real_ones_say_so(child, inception_weights):
    dims, label = child(served, inception_weights)
    assert dims == 2048 and label.startswith("inception-") and len(label) == 18


def standin_sees(sets):
    """Its label, and the features of each set; two scenes calibrate it in place of 16."""
    from functools import partial
    from unittest.mock import patch

    from training.features.server import build_network
    from training.features.untrained import write_inception

    with patch("training.features.untrained.write_inception", partial(write_inception, scenes=2)):
        wanted = {"kind": "random-inception", "weights": "", "threads": 1}
        net, label, _ = build_network(wanted, "cpu")
    return label, [net(pictures) for pictures in sets]


def test_to_the_standin_noise_is_farther_than_a_blur(child):
    rng, clean, blurred, noise = np.random.default_rng(0), [], [], []
    for size in ((32, 32), (40, 30), (32, 32), (40, 30)):
        coarse = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
        clean.append(coarse.resize(size, Image.Resampling.BICUBIC))
        blurred.append(clean[-1].resize((4, 4)).resize(size, Image.Resampling.BICUBIC))
        noise.append(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    sets = [[np.asarray(picture) for picture in each] for each in (clean, blurred, noise)]
    label, features = child(standin_sees, sets)
    assert label == "random-inception"
    # Some of the 2048 numbers: the eigenvalues of all take longer than the features.
    clean, blurred, noise = (scores.moments(rows[:, ::16]) for rows in features)
    blur = scores.frechet(clean, blurred)
    assert scores.frechet(clean, clean) < 1e-3 * blur < blur < scores.frechet(clean, noise)


def test_a_file_of_anything_else_is_one_sentence(child, tmp_path):
    child(write_others, tmp_path)
    for name in ("others", "list", "text", "empty", "truncated"):
        path = tmp_path / f"{name}.pth"
        kind, said, served = child(what_it_says, path)
        assert kind is ValueError and served == said
        assert said.startswith(f"{path} holds no weights of pytorch-fid's Inception: ")
        assert "\n" not in said
