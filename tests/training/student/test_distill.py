"""A distillation: what learns and what does not, and that a stop, or a kill, changes nothing."""

import json
import shutil

import numpy as np
import pytest

from tests.kit.students import SMALL, distilled, teacher_of
from tests.kit.training_runs import draw, start
from training.exchange.opening import open_generator
from training.networks.student import Student
from training.run import checkpoints

pytestmark = pytest.mark.slow
PARTS = ("G_ema", "G", "D")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A teacher with D, pictures, and a run of eight minibatches."""
    folder = tmp_path_factory.mktemp("distilled")
    teacher = teacher_of(folder)
    data = draw(folder / "data", size=(16, 16))
    assert distilled(teacher, data, folder / "run") == "finished"
    return folder


def ends(run):
    """The first and the last checkpoint, opened."""
    found = checkpoints.list_checkpoints(run)
    return [open_generator(path, PARTS) for path in (found[0], found[-1])]


def lines(run):
    """The journal without what the clock says."""
    rows = [json.loads(text) for text in (run / "stats.jsonl").read_text().splitlines()]
    clock = ("time", "seconds_per_kimg")
    return [{name: v for name, v in row.items() if name not in clock} for row in rows]


def test_a_student_opens_as_any_generator(run):
    opened = open_generator(run / "run", PARTS)
    assert isinstance(opened.network(), Student) and set(opened.arrays) == set(PARTS)
    assert (opened.config.height, opened.config.width) == (16, 16)


def test_the_mapping_is_the_teachers_and_the_rest_has_moved(run):
    teacher, (first, last) = open_generator(run / "rgb.npz", ("G_ema", "D")), ends(run / "run")
    for part in ("G", "G_ema"):
        for name, value in last.arrays[part].items():
            if name.startswith("mapping/"):
                assert np.array_equal(value, teacher.arrays["G_ema"][name])
            elif name.endswith("weight"):
                assert not np.array_equal(value, first.arrays[part][name]), name
    for name, value in teacher.arrays["D"].items():
        assert np.array_equal(first.arrays["D"][name], value)
    weight = "b16/conv0/weight"
    assert not np.array_equal(last.arrays["D"][weight], first.arrays["D"][weight])


def test_the_journal_has_what_the_loop_watches(run):
    last = lines(run / "run")[-1]
    assert {"Loss/perceptual", "Loss/G/loss", "Loss/D/loss", "Loss/r1_penalty"} <= set(last)
    assert {"diversity", "grad_norm/G", "grad_norm/D", "r1_gamma"} <= set(last)


def test_from_a_checkpoint_in_the_middle_it_goes_on_bit_for_bit(run):
    """As after a kill: the last checkpoint is what it is without."""
    *before, end = checkpoints.list_checkpoints(shutil.copytree(run / "run", run / "again"))
    assert checkpoints.seen_at(before[-1]) > 0
    end.unlink()
    assert distilled(run / "rgb.npz", run / "data", run / "again") == "finished"
    one, other = (checkpoints.list_checkpoints(run / name)[-1] for name in ("again", "run"))
    one, other = checkpoints.load_checkpoint(one), checkpoints.load_checkpoint(other)
    assert one.about["counters"] == other.about["counters"]
    assert set(one.arrays) == set(other.arrays)
    for name, value in other.arrays.items():
        assert np.array_equal(one.arrays[name], value), name
    assert lines(run / "again") == lines(run / "run")


WAYS = {
    "without D's word": {"lambda_adversarial": "0", "augment": "ada", "augment_p": "0.5"},
    "R1 of the student's images, the teacher's as real": {"penalty": "r2", "reals": "teacher"},
    "the last head alone, styles mixed, in rounds": {
        "pyramid": "false",
        "mixing": "1",
        "accumulation": "2",
        "precision": "bfloat16",
    },
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("eagerly")
def test_each_option_trains_and_changes_what_is_learnt(run, way):
    out = run / way
    given = {**WAYS[way], "total_kimg": 0.008}
    assert distilled(run / "rgb.npz", run / "data", out, **given) == "finished"
    first, last = ends(out)
    usual = ends(run / "run")[1].arrays["G"]
    for name, value in last.arrays["G"].items():
        assert np.isfinite(value).all()
        if name.endswith("b8/conv1/weight"):
            assert not np.array_equal(value, first.arrays["G"][name])
            assert not np.array_equal(value, usual[name])
    d = "b16/conv0/weight"
    same = np.array_equal(first.arrays["D"][d], last.arrays["D"][d])
    assert same == (way == "without D's word")
    if same:  # ADA hears nothing of D
        newest = checkpoints.list_checkpoints(out)[-1]
        assert checkpoints.load_checkpoint(newest).arrays["loss/p"] == 0.5
    heads = [last.arrays["G"][f"synthesis/{b}/torgb/weight"] for b in ("b4", "b8")]
    starts = [first.arrays["G"][f"synthesis/{b}/torgb/weight"] for b in ("b4", "b8")]
    moved = [not np.array_equal(*both) for both in zip(heads, starts, strict=True)]
    assert moved == [given.get("pyramid") != "false", True]


def test_two_devices_give_the_curve_of_one(run):
    given = {**SMALL, "teacher": run / "rgb.npz", "data": run / "data", "out": run / "two"}
    given |= {"devices": 2, "device": "cpu"}
    process = start(["distill", *(f"--{name}={value}" for name, value in given.items())])
    _, said = process.communicate()
    assert process.returncode == 0, said
    for one, other in zip(lines(run / "two"), lines(run / "run"), strict=True):
        assert one == pytest.approx(other, rel=1e-2, abs=1e-3)
