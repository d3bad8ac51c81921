"""A run in training takes its older checkpoints away while others read them."""

import pytest

from atelier import arrays
from atelier.files import digest_file
from tests.kit import nvidia_pickles as kit
from training import cli
from training.exchange.conversion import begun_checkpoint
from training.exchange.described import describe_model
from training.exchange.opening import open_generator
from training.networks.architecture import Pair
from training.run.checkpoints import checkpoint_path, newest

ALL = ("G_ema", "G", "D")
READERS = {
    "open": lambda run: open_generator(run, ALL).path,
    "describe": lambda run: describe_model(run).path,
    "resume": lambda run: begun_checkpoint(run)[0].path,
    "newest": lambda run: newest(run)[0].path,
}


@pytest.fixture
def run(tmp_path):
    """The folder of a run of two checkpoints, and what adds another."""
    parts = {
        f"{part}/{key}": v for part, known in kit.weights().items() for key, v in known.items()
    }

    def add(seen):
        counters = {"seen": seen, "minibatches": 0, "tally": {}}
        about = {"network": Pair(kit.G, kit.D).saved(), "key": "0", "counters": counters}
        arrays.save_arrays(checkpoint_path(tmp_path, seen), parts, about)
        return tmp_path

    add(10)
    add(20)
    return add


@pytest.mark.parametrize(
    ("reader", "at"),
    [
        *((name, at) for name in ("open", "describe") for at in (1, 2, 3)),
        ("resume", 1),
        ("newest", 1),
    ],
)
def test_the_newest_that_goes_while_it_is_read_makes_way_for_a_newer(monkeypatch, run, reader, at):
    folder, looks, check = run(20), [], arrays.check_heads

    def trained_meanwhile(path):
        looks.append(path)
        if len(looks) == at:
            run(30)
            path.unlink()
        check(path)

    monkeypatch.setattr(arrays, "check_heads", trained_meanwhile)
    found = READERS[reader](folder)
    assert found == checkpoint_path(folder, 30)


def test_a_checkpoint_that_goes_once_it_is_open_is_told_by_its_digest(run):
    folder = run(20)
    before = digest_file(checkpoint_path(folder, 20))
    opened = open_generator(folder)
    opened.path.unlink()
    assert opened.digest == before


@pytest.mark.parametrize(("wanted", "read"), [("all", [10, 30]), ("newest", [40])])
def test_figures_pass_over_a_checkpoint_that_is_gone(monkeypatch, capsys, run, wanted, read):
    folder, listed = run(30), cli.chosen_checkpoints

    def trained_meanwhile(*asked):
        found = listed(*asked)
        if checkpoint_path(folder, 20).exists():
            gone = 20 if wanted == "all" else 30
            run(40)
            for seen in {20, gone}:
                checkpoint_path(folder, seen).unlink()
        return found

    monkeypatch.setattr(cli, "chosen_checkpoints", trained_meanwhile)
    assert [int(each.path.stem) for each in cli.averages_of(folder, wanted)] == read
    assert ("0000000020.npz is gone" in capsys.readouterr().out) == (wanted == "all")
