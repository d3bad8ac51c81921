"""Several devices and several machines train as one does: the same curve within float error."""

import json
import re
import shutil
import signal
import socket
import time

import numpy as np
import pytest

from tests.kit.training_runs import (
    command,
    draw,
    rehearsal_command,
    small,
    start,
    train,
    train_command,
)
from training import devices
from training.config import ConfigError
from training.run import checkpoints, journal

CLOCKS = {"time", "seconds_per_kimg"}
ALL = {"batch": 8, "augment": "ada", "augment_pipe": "noise", "ada_kimg": 0.2, "device": "cpu"}
ALL |= {"snapshot_kimg": 0.016}

pytestmark = pytest.mark.slow


def ended(process, code=0):
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, err
    return out + err


def workers(*arguments, run=train_command):
    """Two processes that train together over loopback, each with its own arguments."""
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.bind(("127.0.0.1", 0))
        hosts = [f"127.0.0.1:{each.getsockname()[1]}" for each in (one, two)]
    tasks = [{"type": "worker", "index": index} for index in (0, 1)]
    configs = [{"cluster": {"worker": hosts}, "task": task} for task in tasks]
    both = zip(arguments * (2 // len(arguments)), configs, strict=True)
    return [start(own, run, TF_CONFIG=json.dumps(config)) for own, config in both]


def at_a_tick(process):
    """What it says up to its first status line."""
    said = ""
    while " kimg  " not in said:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        said += line
    return said


@pytest.fixture(scope="module")
def alone(tmp_path_factory, plain_graphs):
    """(data, run) of one device."""
    folder = tmp_path_factory.mktemp("alone")
    data = draw(folder / "data")
    assert train(data, folder / "run", **ALL) == "finished"
    return data, folder / "run"


def assert_same_curve(one, two):
    """The second may be longer."""
    lines = [journal.read_stats(run / "stats.jsonl") for run in (one, two)]
    assert 1 < len(lines[0]) <= len(lines[1])
    for a, b in zip(*lines, strict=False):
        assert a.keys() == b.keys()
        for name in a.keys() - CLOCKS:
            np.testing.assert_allclose(a[name], b[name], rtol=1e-3, atol=1e-4, err_msg=name)


def test_two_devices_give_the_curve_of_one(alone, tmp_path):
    """Each in two rounds; the two machines below do all in one."""
    data, run = alone
    more = {"devices": 2, "accumulation": 2}
    said = ended(start(command(data, tmp_path / "run", **ALL, **more)))
    assert "2 replicas" in said
    assert_same_curve(run, tmp_path / "run")


def test_two_machines_go_on_with_the_curve_of_one_until_one_is_lost(alone, tmp_path):
    """From a checkpoint that one device has left, with an R1 and a path length to come."""
    data, whole = alone
    run = shutil.copytree(whole, tmp_path / "run")
    first, *later = checkpoints.list_checkpoints(run)
    assert checkpoints.seen_at(first) == 32
    for path in later:
        path.unlink()
    end = later[-1]
    both = workers(command(data, run, **ALL | {"total_kimg": 100}))
    said = [at_a_tick(process) for process in both]
    begun = time.monotonic()
    while not end.exists() and both[0].poll() is None and time.monotonic() < begun + 300:
        time.sleep(0.1)
    both[1].kill()
    assert "goes on from" in said[0] and "2 replicas on 2 workers" in said[0]
    last = ended(both[0], code=2)
    assert re.search(r"error: another worker .* same command", last), last
    both[1].communicate()
    assert_same_curve(whole, run)
    paths = first, whole / end.relative_to(run), end
    before, one, two = (checkpoints.load_checkpoint(path).arrays for path in paths)
    assert before.keys() == one.keys() == two.keys()
    for name, value in one.items():
        moved, apart = (np.linalg.norm(value - other[name]) for other in (before, two))
        assert apart <= 1e-3 * moved, name
    lines = [journal.read_stats(each / "stats.jsonl") for each in (whole, run)]
    assert [one["time"] == two["time"] for one, two in zip(*lines, strict=False)][:3] == [1, 1, 0]
    assert {"Loss/r1_penalty", "Loss/pl_penalty"} <= lines[1][2].keys()  # of both machines
    (change,) = json.loads((run / "config.json").read_text())["changes"]
    assert change["options"] == {"total_kimg": 100}


def test_a_signal_to_one_machine_stops_all_with_a_checkpoint(alone, tmp_path):
    """Their steps learn nothing; what is agreed on between them is real."""
    data, run = alone[0], tmp_path / "run"
    both = workers(command(data, run, **ALL | {"total_kimg": 1000}), run=rehearsal_command)
    at_a_tick(both[1])
    both[1].send_signal(signal.SIGTERM)
    for process in both:
        assert "the same command goes on" in ended(process, code=130)
    assert checkpoints.seen_at(checkpoints.list_checkpoints(run)[-1]) >= 16


def test_machines_that_begin_differently_are_told(alone, tmp_path):
    data, _ = alone
    lines = [command(data, tmp_path / "run", **ALL, seed=seed) for seed in (0, 1)]
    for process in workers(*lines):
        assert "is another run" in ended(process, code=2)
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch": 6}, "batch = 6 over 4 devices"),
        ({"batch": 24, "mbstd_group": 4}, "mbstd_group = 4 does not divide the 6 images"),
        ({"batch": 4}, "pl_shrink = 1"),
    ],
)
def test_a_batch_that_cannot_be_dealt_out_is_named(tmp_path, options, said):
    four = devices.Replicas()
    four.count = 4
    given = {"mbstd_group": 1, **options}
    with pytest.raises(ConfigError, match=said):
        four.check(small(tmp_path, tmp_path, **given))


@pytest.mark.parametrize(
    "text", ["{", '{"cluster": {}}', '{"cluster": {"worker": ["a:1"]}, "task": {"index": 3}}']
)
def test_a_broken_cluster_is_shown_as_it_should_be(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError, match=r"give the machines as in .*a:2222"):
        devices.cluster()


@pytest.mark.parametrize(("there", "said"), [(0, "no GPU"), (1, "devices = 2")])
def test_more_gpus_than_there_are(monkeypatch, tmp_path, there, said):
    monkeypatch.setattr(devices.tf.config, "list_physical_devices", lambda _: ["GPU"] * there)
    with pytest.raises(ConfigError, match=said):
        devices.gpus(small(tmp_path, tmp_path, device="gpu", devices=2))
