"""DistillStyleGAN: the student of the pipeline's own generator, or of another, as a Luigi task."""

from pathlib import Path

import pytest

from atelier import files
from atelier.arrays import save_arrays
from pipeline.options import SettingsError
from pipeline.train import student, stylegan
from pipeline.train.student import DistillStyleGANConfig
from tests.kit.commands import error, run
from tests.kit.small_models import small_model
from tests.kit.training_runs import follow_here
from training.run import checkpoints
from training.run import folder as runs
from training.student import options

DATASET = {"images": 3, "shape": [16, 16, 3], "classes": 0, "digest": "d", "labels_digest": "l"}
STEPS = {"device": "cpu", "grid_columns": 2, "grid_rows": 1, "tick_kimg": 0.008}


def test_every_option_is_the_commands_own():
    declared = set(DistillStyleGANConfig().options())
    assert declared == options.option_names() - {"data", "out"}
    assert {"teacher", "penalty", "g_lr", "batch"} <= declared
    assert not {"pl_weight", "resume_from", "fmap_base", "labels"} & declared


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"penalty": "r3"}, "penalty = 'r3': choose one of r1, r2"),
        ({"lambda_d": "much"}, "lambda_d = 'much': write kimg:value pairs"),
        ({"name": "../x"}, "name = '../x': use letters, digits"),
    ],
)
def test_a_wrong_option_is_one_sentence(given, said):
    with pytest.raises(SettingsError) as refused:
        DistillStyleGANConfig(**given)
    assert f"[DistillStyleGAN] {said}" in str(refused.value)


@pytest.fixture
def one_run(tmp_path):
    """A teacher's file, and a store with its student at 2 kimg on the records one/two/dataset."""
    teacher = tmp_path / "teacher.npz"
    teacher.write_bytes(b"a generator")
    given = {"data": "/one/two/dataset", "name": "student", "total_kimg": 8}
    config = options.configured(given, {"teacher_sha256": files.digest_file(teacher)})
    folder = tmp_path / "runs" / f"student-{runs.key(config, DATASET)}"
    files.write_json(folder / "config.json", runs.begin_run(config, DATASET, {}))
    save_arrays(checkpoints.checkpoint_path(folder, 2000), {}, {})
    return tmp_path


@pytest.mark.parametrize(
    ("given", "data", "teacher", "done"),
    [
        ({"total_kimg": "2"}, "/one/two/dataset", b"a generator", True),
        ({"total_kimg": "2", "g_lr": "1e-5"}, "/moved/two/dataset", b"a generator", True),
        ({"total_kimg": "2.1"}, "/one/two/dataset", b"a generator", False),
        ({"total_kimg": "2"}, "/one/two/dataset", b"another", False),
        ({"total_kimg": "2"}, "/one/three/dataset", b"a generator", False),
        ({"total_kimg": "2", "seed": "1"}, "/one/two/dataset", b"a generator", False),
        ({"total_kimg": "2", "name": "other"}, "/one/two/dataset", b"a generator", False),
    ],
)
def test_done_is_a_student_of_this_teacher_that_is_far_enough(one_run, given, data, teacher, done):
    (one_run / "teacher.npz").write_bytes(teacher)
    config = DistillStyleGANConfig(**given)
    found = student.runs_at_end(Path(data), one_run, config, one_run / "teacher.npz")
    assert bool(list(found)) == done


def test_status_tells_of_students(one_run):
    ((task, said),) = stylegan.tell_runs(one_run)
    assert task == "DistillStyleGAN" and said.endswith(": 2 of 8 kimg")


def test_what_goes_to_the_command(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(student.child, "command", lambda *words: told.append(words))
    monkeypatch.setattr(stylegan, "follow_trainer", lambda *_: None)
    for vgg in ("keras", "~/vgg.h5"):
        config = DistillStyleGANConfig(vgg=vgg, batch="8")
        student.distil(tmp_path / "d", tmp_path, config, tmp_path / "t", print)
    package, words, verb = told[0]
    assert (package, verb) == ("training", "distill")
    assert set(words) == {
        "--batch=8",
        "--name=student",
        "--vgg=keras",
        f"--teacher={tmp_path / 't'}",
        f"--data={tmp_path / 'd'}",
        f"--out={tmp_path / 'runs'}",
    }
    assert f"--vgg={Path.home() / 'vgg.h5'}" in told[1][1]


@pytest.mark.parametrize(
    ("kind", "size", "sentence"),
    [
        ("rgb", 64, "[Dataset] size = 64, but {} draws 16: set size = 16, or choose another"),
        ("grey", 8, "[Dataset] channels = rgb makes 3, but {} draws 1: set channels, or choose"),
        ("conditional", 8, "[ExportTFRecords] labels = none, but {} has 3 classes: say where"),
        ("no D", 16, "[DistillStyleGAN] teacher = {} has no D, whose features stand in for VGG19"),
        ("student", "8x16", "[DistillStyleGAN] teacher = {} is a student itself: name its own"),
    ],
)
def test_what_is_not_for_the_teacher_is_refused_before_photos_are_looked_at(
    folder, kind, size, sentence
):
    kind, whole = ("rgb", False) if kind == "no D" else (kind, True)
    teacher = small_model(folder / "t.npz", kind, discriminator=whole)
    words = {"Dataset_size": size, "DistillStyleGAN_teacher": teacher}
    said = error(run(folder, "run", "DistillStyleGAN", **words), code=2)
    assert said.startswith(sentence.format(teacher))
    assert not list(folder.glob("store/*/"))


@pytest.mark.parametrize("named", [True, False])
def test_a_batch_that_is_no_groups_of_the_teachers_is_refused_before_photos_are_looked_at(
    folder, named
):
    words = {"Dataset_size": 16, "DistillStyleGAN_batch": 6, "TrainStyleGAN_preset": "tiny"}
    if named:
        teacher = small_model(folder / "t.npz", "rgb", group=4)
        words["DistillStyleGAN_teacher"] = teacher
    said = error(run(folder, "run", "DistillStyleGAN", **words), code=2)
    assert said.startswith("[DistillStyleGAN] mbstd_group = 4 does not divide the 6 images")
    assert not list(folder.glob("store/*/"))


@pytest.mark.slow
def test_photos_to_a_student_of_their_own_generator(folder, monkeypatch):
    """Photos -> records -> a generator -> its student; the same again does nothing."""
    monkeypatch.setattr(student.child, "follow", follow_here)
    small = {"fmap_base": 32, "fmap_max": 8, "z_dim": 4, "w_dim": 4, "mapping_layers": 1}
    small |= {"pl_weight": 0}
    short = {**STEPS, "batch": 4, "total_kimg": 0.008, "r1_interval": 0}
    words = {f"TrainStyleGAN_{name}": value for name, value in {**short, **small}.items()}
    words |= {f"DistillStyleGAN_{name}": value for name, value in short.items()}
    done = run(folder, "run", "DistillStyleGAN", Dataset_size=16, **words)
    assert done.returncode == 0, done.stderr
    found = sorted(path.name.split("-")[0] for path in (folder / "store" / "runs").iterdir())
    assert found == ["student", "stylegan2"]
    (grid,) = [text for text in done.stdout.splitlines() if text.endswith(".png")]
    assert "student-" in grid and Path(grid).is_file()
    again = run(folder, "run", "DistillStyleGAN", Dataset_size=16, **words)
    assert again.returncode == 0 and "kimg" not in again.stdout
    missing = {**words, "DistillStyleGAN_teacher": folder / "none.pkl"}
    said = error(run(folder, "run", "DistillStyleGAN", Dataset_size=16, **missing), 2)
    assert (
        said
        == f"[DistillStyleGAN] teacher = {folder / 'none.pkl'}: there is no such run or checkpoint"
    )
