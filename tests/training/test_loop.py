"""A run is the same run, however often it is stopped, killed, cut into rounds or taken over."""

import json
import re
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from PIL import Image

from atelier.arrays import save_arrays
from tests.kit.training_runs import (
    Rehearsal,
    command,
    draw,
    rehearsal_command,
    rehearse,
    signal_after,
    small,
    start,
    train,
)
from training import cli, sources
from training.config import ConfigError
from training.metrics import figures as measured
from training.minibatch import Minibatch
from training.run import checkpoints, collapse, grids, journal
from training.run import folder as runs
from training.run.checkpoints import CheckpointError
from training.state import StateError, network_configs, new_state

ROOT = Path(__file__).parents[2]
CLOCKS = {"time", "seconds_per_kimg"}
ALL = {
    "augment": "ada",
    "augment_pipe": "blit",
    "ada_kimg": 0.2,
    "ada_target": -0.9,
    "mirror": True,
}


def curve(run):
    """stats.jsonl without what a clock says."""
    lines = journal.read_stats(run / "stats.jsonl")
    return [{k: v for k, v in line.items() if k not in CLOCKS} for line in lines]


def last(run):
    return checkpoints.load_checkpoint(checkpoints.list_checkpoints(run)[-1])


def assert_same_run(one, two):
    assert curve(one) == curve(two)
    a, b = last(one), last(two)
    assert a.path.name == b.path.name
    assert a.about["counters"] == b.about["counters"]
    assert a.arrays.keys() == b.arrays.keys()
    for name in a.arrays:
        np.testing.assert_array_equal(a.arrays[name], b.arrays[name], err_msg=name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, plain_graphs):
    """An undisturbed run, with its data beside it."""
    folder = tmp_path_factory.mktemp("training")
    data = draw(folder / "data")
    assert train(data, folder / "whole", **ALL) == "finished"
    return folder / "whole"


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory):
    """A run of steps that learn nothing, with its data beside it."""
    folder = tmp_path_factory.mktemp("rehearsed")
    assert rehearse(draw(folder / "data"), folder / "whole", **ALL) == "finished"
    return folder / "whole"


@pytest.mark.slow
def test_a_run_leaves_what_it_promises(whole):
    names = {path.name for path in whole.iterdir()}
    assert {"config.json", "stats.jsonl", "tensorboard", "progress.mp4", "checkpoints"} <= names
    assert {"real_scores.jsonl", "real_scores.svg", "grids"} <= names
    assert [line["seen"] for line in curve(whole)] == [16, 32, 48, 64]
    pictures = {path.name for path in (whole / "grids").iterdir()}
    assert {"reals.png", "fakes-0000000064.png", "psi0.7-0000000064.png"} <= pictures
    assert last(whole).arrays["loss/p"] > 0
    assert not list(whole.rglob("*.partial*"))


@pytest.mark.slow
def test_tensorboard_has_the_names_people_know(whole):
    (path,) = (path for path in (whole / "tensorboard").iterdir() if path.is_file())
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    events = [tf.compat.v1.Event.FromString(record) for record in records]
    tags = {(value.tag, event.step) for event in events for value in event.summary.value}
    known = {"Loss/scores/real", "Loss/scores/fake", "pl_lengths", "learning_rate/G"}
    assert {(name, 64) for name in known} <= tags


def layout_message():
    """The message of TensorBoard's "Custom scalars", declared as its format says."""
    file = descriptor_pb2.FileDescriptorProto(name="layout.proto", package="shown")
    members = {
        "Multiline": [("tag", 1, "")],
        "Chart": [("title", 1, ""), ("multiline", 2, "Multiline")],
        "Category": [("title", 1, ""), ("chart", 2, "Chart")],
        "Layout": [("category", 2, "Category")],
    }
    for name, fields in members.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            declared = message.field.add(name=field, number=number, label=3)
            declared.type = declared.TYPE_MESSAGE if kind else declared.TYPE_STRING
            if kind:
                declared.type_name = f".shown.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("shown.Layout"))


@pytest.mark.slow
def test_every_curve_has_its_chart_in_tensorboard(whole):
    (path,) = (whole / "tensorboard" / "layout").iterdir()
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    *_, event = map(tf.compat.v1.Event.FromString, records)
    (value,) = event.summary.value
    assert value.tag == "custom_scalars__config__"
    assert value.metadata.plugin_data.plugin_name == "custom_scalars"
    layout = layout_message().FromString(value.tensor.string_val[0])
    titles = [category.title[0] for category in layout.category]
    assert titles == ["Losses", "Health", "Pace", "Metrics"]
    charts = [chart for category in layout.category for chart in category.chart]
    tags = [tag for chart in charts for tag in chart.multiline[0].tag]
    names = curve(whole)[-1]
    shown = {name for name in names if any(re.fullmatch(tag, name) for tag in tags)}
    assert {name for name in names if "/" in name} <= shown
    assert {"augment_p", "diversity"} <= shown


@pytest.mark.slow
def test_a_run_that_ended_at_a_checkpoint_goes_on_as_the_undisturbed_one(whole, tmp_path):
    """With networks that learn; how a run ends is the matter of those that learn nothing."""
    data, run = whole.parent / "data", Path(shutil.copytree(whole, tmp_path / "run"))
    *before, end = checkpoints.list_checkpoints(run)
    assert checkpoints.seen_at(before[-1]) == 32
    end.unlink()
    assert train(data, run, **ALL) == "finished"
    assert_same_run(run, whole)


@pytest.mark.slow
def test_a_run_in_pieces_is_the_undisturbed_one(rehearsed, tmp_path):
    """One piece ends in the middle of a tick, one by a signal, one because all is done."""
    data, run, said = rehearsed.parent / "data", tmp_path / "run", []
    assert rehearse(data, run, total_kimg=0.024, **ALL) == "finished"
    assert rehearse(data, run, signal_after(1, signal.SIGTERM), **ALL) == "stopped"
    newest = checkpoints.list_checkpoints(run)[-1]
    newest.write_bytes(newest.read_bytes()[:-2000])
    assert rehearse(data, run, said.append, **ALL) == "finished"
    assert_same_run(run, rehearsed)
    assert said[0].startswith(f"{newest} is broken or no checkpoint")
    assert said[0].endswith("the one before is used")
    (change,) = json.loads((run / "config.json").read_text())["changes"]
    assert change == {"kimg": 0.024, "options": {"total_kimg": 0.064}}


@pytest.mark.slow
def test_a_grown_dataset_is_taken_over_by_name_only(rehearsed, tmp_path):
    grown = draw(tmp_path / "grown", 20)
    with pytest.raises(ConfigError) as error:
        rehearse(grown, rehearsed, **ALL)
    assert "was trained on another dataset (12 images of 8 x 8 x 3, " in str(error.value)
    assert str(error.value).endswith(f"go on from this run with --resume-from {rehearsed}")
    options = {**ALL, "resume_from": rehearsed, "total_kimg": 0.08}
    assert rehearse(grown, tmp_path / "on", **options) == "finished"
    assert [line["seen"] for line in curve(tmp_path / "on")] == [80]
    options |= {"restart_schedule": True, "total_kimg": 0.016, "freeze_d": 4}
    assert rehearse(grown, tmp_path / "anew", **options) == "finished"
    before, after = last(rehearsed).arrays, last(tmp_path / "anew").arrays
    np.testing.assert_array_equal(before["D/b8/fromrgb/weight"], after["D/b8/fromrgb/weight"])
    assert not np.array_equal(before["D/b4/conv/weight"], after["D/b4/conv/weight"])


def test_other_labels_are_another_dataset_to_a_run_that_learns_them_alone(tmp_path):
    data, dataset = draw(tmp_path / "data"), []
    names = sorted(path.name for path in data.iterdir())
    for classes in (2, 3):
        labels = [[name, number % classes] for number, name in enumerate(names)]
        (data / "dataset.json").write_text(json.dumps({"labels": labels}))
        dataset.append(sources.dataset_identity(sources.open_source(data)))
    for labels in (False, True):
        config = small(data, tmp_path, labels=labels)
        known = runs.begin_run(config, dataset[0], {})
        runs.check_same(tmp_path, known, config, dataset[0])
        if labels:
            with pytest.raises(ConfigError, match="the same images with other labels"):
                runs.check_same(tmp_path, known, config, dataset[1])
        else:
            runs.check_same(tmp_path, known, config, dataset[1])


class Collapsing(Rehearsal):
    """At the full rate the fakes are all the same from 44 images on."""

    def __call__(self, images, labels):
        told = super().__call__(images, labels)
        ruined = self.state.seen > 40 and told["learning_rate/G"] > 0.0015
        return told | ({"diversity": 0.1} if ruined else {})


@pytest.mark.slow
def test_a_collapse_is_rolled_back(tmp_path):
    data, said = draw(tmp_path / "data"), []
    options = {"on_collapse": "rollback", "tick_kimg": 0.004, "seed": 1}
    assert rehearse(data, tmp_path / "run", said.append, Collapsing, **options) == "finished"
    reason = "the fakes' diversity fell from 1.000 to 0.100"
    assert {
        f"collapsed at 0.048 kimg: {reason}",
        "back to 0.032 kimg with half the learning rate",
    } <= {*said}
    lines = curve(tmp_path / "run")
    assert [line["seen"] for line in lines] == [*range(4, 65, 4)]
    rates = [round(line["learning_rate/G"], 4) for line in lines]
    assert rates == [0.002] * 8 + [0.001] * 8
    known = json.loads((tmp_path / "run/config.json").read_text())
    assert known["rollbacks"] == [{"kimg": 0.048, "to_kimg": 0.032, "reason": reason}]


@pytest.mark.slow
def test_what_a_collapse_goes_back_to_stays_where_its_first_tick_is_saved(tmp_path):
    data, said = draw(tmp_path / "data"), []
    options = {"on_collapse": "rollback", "tick_kimg": 0.004, "keep": 1, "total_kimg": 0.06}
    for snapshot, back in ((0.044, "0"), (0.022, "0.04")):
        run = tmp_path / back
        more = {**options, "snapshot_kimg": snapshot}
        assert rehearse(data, run, said.append, Collapsing, **more) == "finished"
        assert f"back to {back} kimg with half the learning rate" in said
        assert len(checkpoints.list_checkpoints(run)) == 1


@pytest.mark.slow
def test_one_in_the_middle_of_a_tick_does_not_take_the_place_of_the_last_whole_one(tmp_path):
    data, options = draw(tmp_path / "data"), {"tick_kimg": 0.008, "keep": 1}
    for total, kept in ((0.012, [8, 12]), (0.016, [16])):
        rehearse(data, tmp_path / "run", **options, snapshot_kimg=0.008, total_kimg=total)
        saved = checkpoints.list_checkpoints(tmp_path / "run")
        assert [checkpoints.seen_at(path) for path in saved] == kept


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_half_the_rate_moves_half_as_far(tmp_path):
    """The first step of Adam has the size of the rate, whatever the gradient's."""
    config, moved = small(tmp_path, tmp_path, pl_weight=0, r1_interval=0), []
    state = new_state(config, network_configs(config, (8, 8, 3), 0))
    before, counters = state.arrays(), state.counters()
    step = Minibatch(state, config, np.zeros((1, 0), np.float32), 1.0)
    for scale in (1.0, 0.5):
        step.rate_scale = scale
        state.restore(before, counters)
        told = step(tf.zeros((4, 8, 8, 3)), tf.zeros((4, 0)))
        assert told["learning_rate/G"] == told["learning_rate/D"] == 0.002 * scale
        after = state.arrays()
        moved.append(
            {f"G/{n}": after[f"G/{n}"] - before[f"G/{n}"] for n in state.adams["G"].variables}
        )
    for name, far in moved[0].items():
        assert np.abs(far).max() > 0.001, name
        np.testing.assert_allclose(moved[1][name], far / 2, rtol=1e-2, atol=2e-5, err_msg=name)


@pytest.mark.slow
def test_steps_that_are_not_finite_are_left_out(tmp_path):
    """All of them from 40 images on: that is found to be a collapse."""
    data, rate = draw(tmp_path / "data"), "0:0.002, 0.04:1e30"
    options = {"d_lr": rate, "g_lr": rate, "tick_kimg": 0.004, "on_collapse": "ignore"}
    options |= {"pl_weight": 0, "r1_interval": 0}
    assert train(data, tmp_path / "run", **options) == "finished"
    lines = curve(tmp_path / "run")
    assert sum(line["skipped/G"] + line["skipped/D"] for line in lines) > 0
    for name, array in last(tmp_path / "run").arrays.items():
        if name.startswith("G/") or name.startswith("D/"):
            assert np.isfinite(array).all(), name
    what = collapse.found(lines)
    assert what.good >= 40


@pytest.mark.slow
def test_other_networks_are_named(rehearsed, tmp_path):
    data = draw(tmp_path / "data", size=(16, 8))
    with pytest.raises(CheckpointError, match=r"for 8 x 8 x 3 images, this run's are 16 x 8 x 3"):
        rehearse(data, tmp_path / "run", resume_from=rehearsed)
    with pytest.raises(CheckpointError, match=r"w_dim = 4 \(here 8\); give the same"):
        rehearse(rehearsed.parent / "data", tmp_path / "run2", resume_from=rehearsed, w_dim=8)
    with pytest.raises(ConfigError, match=r"^w_dim = 8, but .* has w_dim = 4: give that, or"):
        rehearse(rehearsed.parent / "data", rehearsed, w_dim=8)
    with pytest.raises(StateError, match=r"^freeze_d = 99: D has 7 layers, leave one to learn"):
        rehearse(rehearsed.parent / "data", tmp_path / "run3", freeze_d=99)


def test_a_name_makes_a_folder_of_its_own(tmp_path):
    data = draw(tmp_path / "data")
    dataset = sources.dataset_identity(sources.open_source(data))
    one = runs.folder(small(data, tmp_path, name="a"), dataset)
    assert one.parent == tmp_path and one.name.startswith("a-")
    assert runs.folder(small(data, tmp_path, name="a", total_kimg=9, g_lr="1"), dataset) == one
    others = [small(data, tmp_path, name="a", **o) for o in ({"seed": 1}, {"w_dim": 9})]
    assert len({one, *(runs.folder(config, dataset) for config in others)}) == 3
    assert runs.folder(small(data, tmp_path, name="a"), {**dataset, "images": 1}) != one


def test_the_last_checkpoints_and_the_best_one_stay(tmp_path):
    for seen in range(1, 7):
        save_arrays(checkpoints.checkpoint_path(tmp_path, seen), {"a": np.zeros(1)}, {})
    figures = [
        ("frechet2k(classifier)", {1: 1.0, 2: 0.0, 5: 3.0}),
        ("kid2k(classifier)", {1: 0.0, 2: 1.0}),
        ("label_accuracy(classifier)", {3: 0.0, 4: 1.0}),  # no distance: nothing is kept for it
    ]
    rows = [{"seen": s, "metric": m, "value": v} for m, some in figures for s, v in some.items()]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    checkpoints.retain(tmp_path, 2, measured.best(tmp_path))
    assert [checkpoints.seen_at(path) for path in checkpoints.list_checkpoints(tmp_path)] == [
        1,
        2,
        5,
        6,
    ]


def test_grids_follow_the_published_size():
    assert grids.grid_size(1024, 1024) == (7, 4)
    assert grids.grid_size(256, 256) == (30, 16)
    assert grids.grid_size(64, 64, 8, 4) == (8, 4)


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(("mode", "labels", "frozen"), [("L", True, 1), ("RGBA", False, 0)])
def test_grey_transparent_and_labelled_images_train(tmp_path, mode, labels, frozen):
    """All that is not frozen moves: one step."""
    data, run = draw(tmp_path / "data", 4, size=(16, 8), mode=mode), tmp_path / "run"
    rows = [[f"{n:03}.png", n % 2] for n in range(4)]
    (data / "dataset.json").write_text(json.dumps({"labels": rows}))
    options = {"total_kimg": 0.004, "labels": labels, "freeze_d": frozen}
    options |= {"pl_weight": 0, "r1_interval": 0}
    assert train(data, run, **options) == "finished"
    before, after = (
        checkpoints.load_checkpoint(path).arrays for path in checkpoints.list_checkpoints(run)
    )
    assert ("G/mapping/embed/weight" in after) == labels
    still = {n for n in after if n[:2] == "D/" and np.array_equal(before[n], after[n])}
    assert {name.rsplit("/", 1)[0] for name in still} == ({"D/b8/fromrgb"} if frozen else set())
    with Image.open(run / "grids/fakes-0000000004.png") as grid:
        assert (grid.mode, grid.size) == (mode, (32, 8))


@pytest.mark.slow
def test_kill_9_at_any_moment_loses_nothing(rehearsed, tmp_path):
    data, run = rehearsed.parent / "data", tmp_path / "run"
    arguments = command(data, run, **ALL, snapshot_kimg=0.016)
    rng = np.random.default_rng(int(time.time()))
    for lines in (1, 3):
        process = start(arguments, rehearsal_command)
        while lines and (text := process.stdout.readline()):
            lines -= " kimg  " in text
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        process.communicate()
    assert rehearse(data, run, **ALL, snapshot_kimg=0.016) == "finished"
    assert_same_run(run, rehearsed)


@pytest.mark.slow
def test_ctrl_c_stops_the_command_after_a_checkpoint(rehearsed, tmp_path):
    data, run = rehearsed.parent / "data", tmp_path / "run"
    words = [*command(data, run, **ALL, total_kimg=25000), "--device", "cpu"]
    process = start(words, rehearsal_command)
    while " kimg  " not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    assert "the same command goes on" in process.communicate(timeout=300)[0]
    assert process.returncode == 130
    assert checkpoints.seen_at(checkpoints.list_checkpoints(run)[-1]) >= 16


def test_generate_writes_a_picture_per_seed(rehearsed, tmp_path, capsys):
    out = tmp_path / "pictures"
    words = ["generate", "--run", str(rehearsed), "--seeds", "0-2,7", "--out", str(out)]
    assert cli.main(words) == 0
    assert capsys.readouterr().out.startswith("4 pictures in ")
    names = sorted(path.name for path in out.iterdir())
    assert names == ["seed0000.png", "seed0001.png", "seed0002.png", "seed0007.png"]
