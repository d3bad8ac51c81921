"""A distillation: what learns, what does not, and that it learns what the teacher draws."""

import json

import numpy as np
import pytest

from tests.kit.students import distilled, teacher_of
from tests.kit.training_runs import draw
from training.exchange.opening import open_generator
from training.networks.student import Student
from training.run import checkpoints

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("plain_graphs")]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distilled")
    teacher = teacher_of(folder)
    data = draw(folder / "data", size=(16, 16))
    assert distilled(teacher, data, folder / "run", total_kimg=0.032) == "finished"
    return folder


def test_a_student_opens_as_any_generator(run):
    opened = open_generator(run / "run", ("G_ema", "G", "D"))
    student = opened.network()
    assert isinstance(student, Student) and set(opened.arrays) == {"G_ema", "G", "D"}
    assert (opened.config.height, opened.config.width) == (16, 16)


def test_the_mapping_is_the_teachers_and_the_rest_has_moved(run):
    teacher = open_generator(run / "rgb.npz", ("G_ema", "D"))
    first, last = (
        open_generator(path, ("G_ema", "G", "D"))
        for path in (lambda found: (found[0], found[-1]))(checkpoints.list_checkpoints(run / "run"))
    )
    for part in ("G", "G_ema"):
        for name, value in last.arrays[part].items():
            if name.startswith("mapping/"):
                assert np.array_equal(value, teacher.arrays["G_ema"][name])
            elif name.endswith("weight"):
                assert not np.array_equal(value, first.arrays[part][name]), name
    for name, value in teacher.arrays["D"].items():
        assert np.array_equal(first.arrays["D"][name], value)
        assert not np.array_equal(last.arrays["D"][name], value) or "bias" in name


def test_the_journal_has_what_the_loop_watches(run):
    lines = [json.loads(text) for text in (run / "run" / "stats.jsonl").read_text().splitlines()]
    assert {"Loss/perceptual", "Loss/G/loss", "Loss/D/loss", "Loss/r1_penalty"} <= set(lines[-1])
    assert {"diversity", "grad_norm/G", "grad_norm/D", "r1_gamma"} <= set(lines[-1])
