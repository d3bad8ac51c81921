"""What cannot be distilled is said in one sentence."""

import numpy as np
import pytest

from tests.kit.students import asked, opened_student, teacher_of
from tests.kit.training_runs import draw
from training import sources
from training.cli import main, parser
from training.config import NAMES, ConfigError, configure
from training.exchange.npz import save_generator
from training.exchange.opening import open_generator
from training.run import folder as runs
from training.student.cli import TeacherError, asked_early, check_fits, teacher_notes
from training.student.options import configured

BOTH = ("G_ema", "D")


def fits(teacher, data, vgg=""):
    check_fits(open_generator(teacher, BOTH), sources.open_source(data), vgg)


@pytest.mark.parametrize("size, mode", [((8, 8), "RGB"), ((16, 16), "L")])
def test_a_dataset_of_another_form_is_refused(tmp_path, size, mode):
    data = draw(tmp_path / "data", size=size, mode=mode)
    with pytest.raises(
        TeacherError, match=r"draws 16 x 16 x 3, and the images of .* are .*: give a"
    ):
        fits(teacher_of(tmp_path), data)


def test_classes_that_the_dataset_does_not_have_are_refused(tmp_path):
    data = draw(tmp_path / "data")
    with pytest.raises(
        TeacherError, match=r"has 3 classes, and .* has no labels: give the dataset"
    ):
        fits(teacher_of(tmp_path, "conditional"), data)


def test_a_teacher_without_d_needs_vgg19(tmp_path):
    data, teacher = draw(tmp_path / "data", size=(16, 16)), teacher_of(tmp_path, "rgb", False)
    with pytest.raises(TeacherError, match=r"has no D, whose features stand in .* give --vgg FILE"):
        fits(teacher, data)
    fits(teacher, data, vgg="vgg.h5")
    opened, config = asked(teacher, data, tmp_path / "run", vgg="vgg.h5")
    assert [note for note in teacher_notes(opened, config) if "begins anew" in note]


def test_a_student_is_no_teacher(tmp_path):
    student = opened_student(tmp_path / "s.npz", height=8, width=8, fmap_max=4, z_dim=4, w_dim=4)
    save_generator(tmp_path / "s.npz", student)
    with pytest.raises(TeacherError, match=r"s.npz is a student itself: name its own teacher$"):
        fits(tmp_path / "s.npz", draw(tmp_path / "data"))


@pytest.mark.parametrize("batch", [1, 2, 6])
def test_a_batch_is_to_be_whole_groups_of_the_teachers(batch, tmp_path):
    words = ["distill", "--teacher", "x", "--data", "y", "--out", str(tmp_path), "--batch"]
    assert asked_early(parser().parse_args([*words, str(batch)])).run.batch == batch
    group = {"mbstd_group": 2}
    assert configured({"batch": 6}, group).network.mbstd_group == 2
    with pytest.raises(ConfigError, match=r"= 2 does not divide the 3 .* the group is the teacher"):
        configured({"batch": 6, "accumulation": 2}, group)


def test_another_teacher_is_another_run(tmp_path):
    data = draw(tmp_path / "data", size=(16, 16))
    _, config = asked(teacher_of(tmp_path), data, tmp_path / "run")
    known = runs.begin_run(config, {"images": 12}, {})
    other = teacher_of(tmp_path / "other")
    with np.load(other) as file:
        arrays = dict(file)
    np.savez(other, **arrays | {"G_ema/mapping/w_avg": arrays["G_ema/mapping/w_avg"] + 1})
    _, changed = asked(other, data, tmp_path / "run")
    runs.check_same(tmp_path, known, config, {"images": 12})
    with pytest.raises(
        ConfigError, match=r"^teacher = .*rgb\.npz is not the generator that .* learns from: where"
    ):
        runs.check_same(tmp_path, known, changed, {"images": 12})


def test_a_run_of_train_is_none_of_distill(tmp_path):
    data = draw(tmp_path / "data", size=(16, 16))
    _, config = asked(teacher_of(tmp_path), data, tmp_path / "run")
    plain = configure({name: config.options()[name] for name in NAMES})
    known = runs.begin_run(plain, {"images": 12}, {})
    with pytest.raises(ConfigError, match=r"is a run of another command, which knows no teacher_"):
        runs.check_same(tmp_path, known, config, {"images": 12})


@pytest.mark.parametrize(
    "words, said",
    [
        (["--data", "x"], "teacher is empty: say whom to learn from, --teacher ..."),
        (["--teacher", "x"], "data is empty: say real images, too, --data ..."),
        (
            ["--teacher", "none", "--data", "x"],
            "teacher = none: there is no such run or checkpoint",
        ),
        (
            ["--teacher", "none", "--data", "x", "--vgg=/nowhere.h5"],
            "vgg = /nowhere.h5: there is no such file; leave it out, or give keras",
        ),
        (["--penalty", "r3"], "penalty = 'r3': choose one of r1, r2"),
        (["--lambda-d", "much"], "lambda_d = 'much': write kimg:value pairs"),
        (["--pl-weight", "2"], "there is no option --pl-weight"),
    ],
)
def test_a_command_line_that_cannot_be(words, said, capsys):
    given = words if "--penalty" not in words and "--lambda-d" not in words else [
        *words, "--teacher", "x", "--data", "x"
    ]  # fmt: skip
    assert main(["distill", *given]) == 2
    assert said in capsys.readouterr().err
