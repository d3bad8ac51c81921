"""A network of NVIDIA's becomes a run to go on from, and a small file to draw from."""

import json
import shlex

import numpy as np
import pytest
from PIL import Image

from tests.kit import nvidia_pickles as kit
from tests.kit.training_runs import draw, rehearse
from training import cli
from training.exchange.conversion import import_run, train_words
from training.exchange.opening import open_generator
from training.exchange.pickles import NetworkFileError
from training.run import checkpoints

ALL = ("G_ema", "G", "D")


@pytest.fixture
def pickle(tmp_path):
    path = tmp_path / "network.pkl"
    path.write_bytes(kit.torch_pickle(kit.weights()))
    return path


def labelled(folder):
    """A dataset of two classes."""
    names = sorted(path.name for path in draw(folder).iterdir())
    labels = [[name, number % 2] for number, name in enumerate(names)]
    (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    return folder


@pytest.mark.slow
def test_training_goes_on_from_what_was_imported(pickle, tmp_path, capsys):
    run = tmp_path / "imported here"
    assert cli.main(["import", str(pickle), "--out", str(run)]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "--resume-from" in line]
    words = [word[2:].partition("=") for word in shlex.split(line) if "=" in word]
    options = {name.replace("-", "_"): value for name, _, value in words}
    assert shlex.split(line)[:3] == ["train", "--resume-from", str(run)]
    assert line.endswith("--labels") and options["d_mapping_layers"] == "1"

    data, out = labelled(tmp_path / "data"), tmp_path / "run"
    more = {"resume_from": run, "labels": True, "total_kimg": 0.008, "snapshot_kimg": 0.004}
    rehearse(data, out, **options | more)
    first, *_, last = checkpoints.list_checkpoints(out)
    begun, given = checkpoints.load_checkpoint(first), kit.weights()
    for part in ALL:
        for name, value in given[part].items():
            np.testing.assert_array_equal(begun.arrays[f"{part}/{name}"], value)
    assert checkpoints.seen_at(first) == 0 and checkpoints.seen_at(last) == 8


@pytest.mark.slow
def test_another_network_than_the_imported_one_is_refused(pickle, tmp_path):
    run = tmp_path / "imported"
    import_run(open_generator(pickle, ALL), run)
    with pytest.raises(checkpoints.CheckpointError, match="is of another network: "):
        rehearse(draw(tmp_path / "data"), tmp_path / "run", resume_from=run)


def test_what_cannot_be_trained_on_says_why(pickle, tmp_path):
    with pytest.raises(NetworkFileError, match="has no G and no D: training needs all of"):
        import_run(open_generator(pickle), tmp_path / "run")
    opened = open_generator(pickle, ALL)
    import_run(opened, tmp_path / "run")
    with pytest.raises(NetworkFileError, match="has checkpoints already: choose another folder"):
        import_run(opened, tmp_path / "run")
    assert "--fmap-base=16 " in train_words(opened)


@pytest.mark.slow
def test_pictures_come_from_the_pickle_and_from_its_export(pickle, tmp_path, capsys):
    small, pictures = tmp_path / "small.npz", []
    assert cli.main(["export", f"--run={pickle}", "--to=npz", f"--out={small}"]) == 0
    assert "small.npz" in capsys.readouterr().out
    for source in (pickle, small):
        out = tmp_path / source.suffix[1:]
        assert cli.main(["generate", f"--run={source}", "--seeds=0-1", f"--out={out}"]) == 0
        pictures.append(
            np.stack([np.asarray(Image.open(out / f"seed000{n}.png")) for n in (0, 1)]).astype(int)
        )
    assert pictures[0].std() > 10 and abs(pictures[0] - pictures[1]).max() <= 3
    assert cli.main(["export", f"--run={pickle}", f"--out={tmp_path}"]) == 2


def test_a_pickle_that_wants_to_run_something_ends_a_command_in_one_sentence(tmp_path, capsys):
    path = tmp_path / "network.pkl"
    path.write_bytes(kit.pickled(kit.Call(("os", "system"), "exit")))
    for words in (["generate", f"--run={path}"], ["export", f"--run={path}"], ["import", path]):
        assert cli.main([*map(str, words), f"--out={tmp_path / 'out'}"]) == 2
        out, error = capsys.readouterr()
        assert not out and error.startswith(f"error: {path} wants 'os.system', which is no part")
        assert error.count("\n") == 1 and not (tmp_path / "out").exists()
