"""What a run keeps, and what it never loses, when it goes on otherwise than it began."""

import hashlib
import json
import math
from contextlib import suppress
from dataclasses import asdict

import numpy as np
import pytest
import tensorflow as tf

from atelier.arrays import save_arrays
from tests.kit.training_runs import draw, rehearse, small
from training import sources
from training.config import BEFORE, NAMES, Config, ConfigError
from training.devices import Agreement, Replicas
from training.exchange.opening import open_generator
from training.run import checkpoints, collapse, folder, journal
from training.run.checkpoints import CheckpointError
from training.state import network_configs, new_state

SHORT = {"total_kimg": 0.016, "snapshot_kimg": 0.016}


def p_of(run):
    return float(
        checkpoints.load_checkpoint(checkpoints.list_checkpoints(run)[-1]).arrays["loss/p"]
    )


@pytest.mark.slow
def test_a_fixed_augmentation_is_the_commands_own(tmp_path):
    data, run = draw(tmp_path / "data"), tmp_path / "run"
    rehearse(data, run, **SHORT)
    assert p_of(run) == 0
    fixed = {"augment": "fixed", "augment_pipe": "blit"}
    rehearse(data, run, **SHORT | fixed | {"augment_p": 0.25, "total_kimg": 0.02})
    assert p_of(run) == 0.25
    rehearse(data, run, **SHORT | fixed | {"augment_p": 0.5, "total_kimg": 0.024})
    assert p_of(run) == 0.5
    rehearse(data, tmp_path / "other", **SHORT | {"resume_from": run, "total_kimg": 0.028})
    assert p_of(tmp_path / "other") == 0


@pytest.mark.slow
def test_with_no_whole_checkpoint_nothing_is_overwritten(tmp_path):
    data, run = draw(tmp_path / "data"), tmp_path / "run"
    rehearse(data, run, **SHORT)
    written = (run / "stats.jsonl").read_bytes()
    for path in checkpoints.list_checkpoints(run):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=r"^none of the 2 checkpoints of .* bring one back"):
        rehearse(data, run, **SHORT)
    assert (run / "stats.jsonl").read_bytes() == written


@pytest.mark.slow
def test_a_broken_checkpoint_is_set_aside(tmp_path):
    data, run = draw(tmp_path / "data"), tmp_path / "run"
    rehearse(data, run, **SHORT | {"keep": 1})
    broken = checkpoints.list_checkpoints(run)[-1]
    save_arrays(checkpoints.checkpoint_path(run, 8), **whole(broken))
    broken.write_bytes(broken.read_bytes()[:100])
    rehearse(data, run, **SHORT | {"keep": 1, "tick_kimg": 0.012, "total_kimg": 0.012})
    assert [path.name for path in checkpoints.list_checkpoints(run)] == ["0000000012.npz"]
    assert broken.with_suffix(".broken").exists()


def whole(path):
    known = checkpoints.load_checkpoint(path)
    counters = known.about["counters"] | {"seen": 8, "minibatches": 2, "tally": {}}
    return {"arrays": known.arrays, "about": known.about | {"counters": counters}}


@pytest.mark.slow
def test_scores_of_reals_do_not_depend_on_how_a_minibatch_is_cut(tmp_path):
    data, run = draw(tmp_path / "data", 7), tmp_path / "run"
    rehearse(data, run, **SHORT)
    rehearse(data, run, **SHORT | {"total_kimg": 0.032, "accumulation": 2})
    rows = [json.loads(text) for text in (run / "real_scores.jsonl").read_text().splitlines()]
    assert [len(row["scores"]) for row in rows] == [6] * 3
    assert all(len(row["images"]) == 6 for row in rows)


def test_parts_smaller_than_a_group_are_refused():
    with pytest.raises(ConfigError, match=r"^mbstd_group = 4 does not divide the 2 images"):
        small("data", "out", batch=4, mbstd_group=4, accumulation=2)
    config = small("data", "out", batch=8, mbstd_group=4)
    config.check_parts(2)
    with pytest.raises(ConfigError, match=r"the 2 images .* devices = 4\): choose a larger batch"):
        config.check_parts(4)
    small("data", "out", batch=2, mbstd_group=4)


def test_one_process_agrees_with_itself(tmp_path):
    Replicas().check_same(tmp_path, {"seen": 1})
    assert Config().run.devices == 0


def test_machines_agree_every_few_seconds():
    """Two machines, of which one is slower; a signal to one stops both at the same minibatch."""

    class Two(Replicas):
        def __init__(self, other):
            super().__init__()
            self.count = self.workers = 2
            self.other = other

        def totals(self, numbers):
            self.other.append(numbers)
            return [numbers[0], numbers[1] + 1.5]  # the other takes 1.5 s a minibatch

    now, asked = [0.0], []
    agreed = Agreement(Two(asked), clock=lambda: now[0])
    answers = []
    for minibatch in range(20):
        now[0] += 0.5
        answers.append(agreed(minibatch >= 7))
    assert answers.index(True) == 9  # asked after 1, 4, 7, 10 minibatches: 3 s are 3 of 1 s
    assert [numbers[1] for numbers in asked] == [0.5] * 7
    assert Agreement(Replicas())(True) and not Agreement(Replicas())(False)


def test_a_run_of_before_is_the_same_run(tmp_path):
    """Options that came later leave the key of a run, and what is said to have changed."""
    config = small(tmp_path, tmp_path, name="a")
    known = {"config": asdict(config), "changes": [], "dataset": {}}
    for name in BEFORE:
        known["config"][NAMES[name]].pop(name)
    known["config"]["run"]["xla"] = False
    assert folder.changed(known, config) == {}
    fixed = {name: config.options()[name] for name in folder.FIXED if name not in BEFORE}
    text = json.dumps([fixed | {"name": "a"}, {"images": 1}], sort_keys=True)
    assert folder.key(config, {"images": 1}) == hashlib.sha256(text.encode()).hexdigest()[:10]
    other = small(tmp_path, tmp_path, name="a", conv_clamp=256)
    assert folder.key(other, {"images": 1}) != folder.key(config, {"images": 1})
    with pytest.raises(ConfigError, match=r"^d_architecture = skip, but .* d_architecture = res"):
        skip = small(tmp_path, tmp_path, d_architecture="skip")
        folder.check_same(tmp_path, known, skip, {})


@pytest.mark.slow
def test_the_average_alone_is_read_from_a_checkpoint(tmp_path, monkeypatch):
    data, run = draw(tmp_path / "data"), tmp_path / "run"
    rehearse(data, run, **SHORT)
    read = []
    monkeypatch.setattr(np.lib.format, "read_array", read_array(read, np.lib.format.read_array))
    found, _ = checkpoints.newest(run, part="G_ema")
    whole = checkpoints.load_checkpoint(found.path)
    assert len(read) == len(found.arrays) + 1 + len(whole.arrays) + 1
    assert {name.split("/")[0] for name in found.arrays} == {"G_ema"}
    generator = open_generator(found.path).network()
    np.testing.assert_array_equal(
        generator.values["mapping/fc0/weight"], whole.arrays["G_ema/mapping/fc0/weight"]
    )


def read_array(read, whole):
    def counting(*given, **more):
        read.append(1)
        return whole(*given, **more)

    return counting


def test_a_tick_holds_the_means_of_what_was_finite():
    tally = journal.Tally({})
    for loss in (1.0, math.nan, 3.0):
        tally.add(
            {"Loss/G/loss": loss, "skipped/G": math.isnan(loss), "rate": 0.5, "bad": math.inf}
        )
    line = tally.close()
    assert (line["Loss/G/loss"], line["skipped/G"], line["minibatches"]) == (2.0, 1.0, 3)
    assert line["due/G"] == 3
    assert math.isnan(line["bad"])


@pytest.mark.slow
def test_a_watch_that_goes_on_hears_the_same():
    rng = np.random.default_rng(0)
    lines = []
    for number in range(120):
        drift = number / 20  # what is usual now was a jump once
        line = {name: drift + 0.05 * rng.normal() for name in collapse.SIGNALS}
        lines.append(line | {"seen": number, "diversity": 1.0, "minibatches": 9})
    lines[100] |= dict.fromkeys(collapse.SIGNALS, 900.0)
    heard = [collapse.Watch(lines[:n]).hear(lines[n]) for n in range(120)]
    assert [what.seen for what in heard if what] == [100]
    assert collapse.found(lines) == heard[100]


def test_a_copy_beside_the_checkpoints_is_none_of_them(tmp_path):
    for name in ("0000000008", "0000000016", "0000000016 (copy)", "1e3", "٣"):
        checkpoints.checkpoint_path(tmp_path, 0).parent.mkdir(exist_ok=True)
        (tmp_path / "checkpoints" / f"{name}.npz").touch()
    assert list(map(checkpoints.seen_at, checkpoints.list_checkpoints(tmp_path))) == [8, 16]


def ways(known, path=()):
    """(a path, a value of another kind) of everything that config.json says but options' values."""
    for name in known:
        yield (*path, name), 5 if isinstance(known[name], dict | list | str) else "five"
        if isinstance(known[name], dict) and name != "config":
            yield from ways(known[name], (*path, name))


@pytest.mark.slow
def test_a_config_json_of_another_form_is_refused(tmp_path):
    """Whatever of it is missing or another kind; before, its network went into the checkpoints."""
    data, run = draw(tmp_path / "data"), tmp_path / "run"
    rehearse(data, run, total_kimg=0)
    file, wanted = run / "config.json", small(data, run, total_kimg=0)
    said, dataset = file.read_text(), sources.dataset_identity(sources.open_source(data))
    others = ["[]", "null", "{}", '"text"', "5"]
    for path, value in ways(json.loads(said)):
        for gone in (True, False):
            other = part = json.loads(said)
            for name in path[:-1]:
                part = part[name]
            part.pop(path[-1]) if gone else part.update({path[-1]: value})
            others.append(json.dumps(other))
    for other in others:
        file.write_text(other)
        with suppress(ConfigError):
            known = folder.whole_run(run)
            folder.check_same(run, known, wanted, dataset)
            folder.changed(known, wanted)
    for other in others[:5]:
        file.write_text(other)
        with pytest.raises(ConfigError, match="does not say all of a run: restore it"):
            folder.whole_run(run)


@pytest.mark.slow
def test_what_was_frozen_moves_no_further_than_the_rate_at_first(tmp_path):
    """Its slots are new, so the count of steps is; with the old one it moves ten times that."""
    frozen, free = (small(tmp_path, tmp_path, freeze_d=n) for n in (4, 0))
    pair = network_configs(free, (8, 8, 3), 0)
    before, after = new_state(frozen, pair), new_state(free, pair)
    adam = before.adams["D"]
    for _ in range(100):
        adam.moved([tf.ones_like(value) for value in adam.variables.values()], tf.constant(0.01))
    after.restore(before.arrays(), before.counters())
    adam, was = after.adams["D"], after.arrays()
    assert len(adam.variables) > len(before.adams["D"].variables)
    anew = after.arrays()
    for variable in adam.slots().values():  # as after a while, when a collapse goes back to it
        variable.assign(variable + 1)
    after.restore(before.arrays(), before.counters())
    assert all(np.array_equal(value, anew[name]) for name, value in after.arrays().items())
    adam.moved([tf.ones_like(value) for value in adam.variables.values()], tf.constant(0.01))
    for name, value in adam.variables.items():
        moved = abs(value.numpy() - was[f"D/{name}"]).max()
        assert 0 < moved <= 0.0101
