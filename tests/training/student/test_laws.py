"""Laws of distillation over all kinds of teacher: square or not, grey, RGBA, with classes."""

import numpy as np
import pytest
import tensorflow as tf

from tests.kit.small_models import KINDS
from tests.kit.students import asked, distilled, teacher_of
from tests.kit.training_runs import draw, eagerly
from training.deploy import export
from training.deploy.program import program
from training.exchange.npz import save_generator
from training.exchange.opening import open_generator
from training.explore import sweeps
from training.explore.asked import Look
from training.explore.model import open_model
from training.networks.student import Student
from training.run import grids
from training.sampler import Sampler

pytestmark = pytest.mark.slow
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
OURS = ["grey", "rgba", "not square", "conditional"]  # test_distill has "rgb"


def pictures_for(folder, kind, classes=True):
    """Made pictures of the form of a kind, with its labels."""
    shape = KINDS[kind]
    mode = MODES[shape.get("channels", 3)]
    data = draw(folder / "data", size=(shape["width"], shape["height"]), mode=mode)
    if classes and (count := shape.get("labels")):
        rows = [[path.name, number % count] for number, path in enumerate(sorted(data.iterdir()))]
        (data / "dataset.json").write_text(str(rows).replace("'", '"'))
    return data


@pytest.fixture(scope="module", params=OURS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def folder(kind, tmp_path_factory):
    """A teacher, its data, and a run of two ticks."""
    place = tmp_path_factory.mktemp("laws")
    teacher, data = teacher_of(place, kind), pictures_for(place, kind)
    less = {"total_kimg": 0.016, "r1_interval": 0}
    with eagerly():  # in graphs it is test_distill's
        assert distilled(teacher, data, place / "run", **less) == "finished"
    return place


def test_the_program_draws_what_the_last_head_draws(folder, kind):
    opened = open_generator(folder / "run")
    student = opened.network()
    w = tf.random.stateless_normal([3, student.config.w_dim], [1, 2])
    made = program(opened, "w", 1.0)
    assert set(made.signature()) == {"w"}
    drawn = made.drawn(w, 1.0, None)["float"]
    np.testing.assert_allclose(drawn, student.levels(w)[-1].image, atol=1e-4)
    inputs = export.example_inputs(student, "z", range(2))
    from_z = program(opened).drawn(tf.constant(inputs["z"]), inputs["psi"], inputs.get("label"))[
        "float"
    ]
    np.testing.assert_allclose(from_z, export.drawn_here(student, inputs), atol=1e-4)
    lower = [name for name in made.values if name.endswith("torgb/kernel")]
    assert lower == [f"{student.config.block(student.config.top)}/torgb/kernel"]


def test_a_student_alone_in_a_file_draws_the_same(folder, kind):
    save_generator(folder / "alone.npz", open_generator(folder / "run"))
    alone = open_generator(folder / "alone.npz").network()
    assert isinstance(alone, Student)
    model = open_model(folder / "alone.npz")
    page = sweeps.mix(model, [0, 1], [2], [0], Look(0.7))
    assert page.ndim == 3 and page.std() > 0
    (folder / "alone.npz").unlink()


def test_grids_show_the_teacher_above_the_student(folder, kind):
    from PIL import Image

    (teacher,) = folder.glob("*.npz")
    config = asked(teacher, folder / "data", folder / "run")[1]
    (path,) = sorted((folder / "run" / "grids").glob("fakes-*.png"))[-1:]
    shown, shape = np.asarray(Image.open(path)), KINDS[kind]
    height, width, columns = shape["height"], shape["width"], config.run.grid_columns
    assert shown.shape[:2] == (2 * config.run.grid_rows * height, columns * width)
    if shape.get("labels"):  # which are drawn from the dataset
        return
    z = grids.seeded_latents(range(columns), open_generator(teacher).config.z_dim)
    for row, path in enumerate((teacher, folder / "run")):
        drawn = grids.tiled(Sampler(open_generator(path).network())(z), columns)
        own = shown[row * height : (row + 1) * height].reshape(drawn.shape)
        assert np.abs(own.astype(int) - drawn).max() <= 1
