"""TrainCropDetector: the training as a child process, without Luigi."""

from dataclasses import fields

import pytest

from detectors.learning import cli, network
from detectors.learning.options import LearningConfig
from pipeline.options import SettingsError
from pipeline.rows import manifest
from pipeline.stages import detect
from pipeline.train import crop_detector
from pipeline.train.child import TrainError
from pipeline.train.crop_detector import TrainCropDetectorConfig
from tests.kit.commands import run, run_here
from tests.kit.learning import SMALL, dataset, small_backbone

SCRATCH = {"weights": "none"}


def test_every_option_is_the_trainings_own():
    own = {f.name for f in fields(LearningConfig)} - {"out"}
    assert {f.name for f in fields(TrainCropDetectorConfig)} == own | {"name"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"size": "100"}, "size = 100: give a multiple of 32, as 96"),
        ({"epochs": "0"}, "epochs = 0: give a value of at least 1"),
        ({"backbone": "resnet"}, "backbone = 'resnet': choose one of mobilenetv2"),
        ({"name": "../x"}, "name = '../x': use letters, digits"),
    ],
)
def test_a_wrong_option_is_one_sentence(given, said):
    with pytest.raises(SettingsError) as refused:
        TrainCropDetectorConfig(**(SCRATCH | given))
    assert f"[TrainCropDetector] {said}" in str(refused.value)


def test_a_run_belongs_to_its_options_and_its_labels(tmp_path):
    labels, pictures = dataset(tmp_path, 4)
    given = {"labels": str(labels), "pictures": str(pictures)} | SCRATCH
    first = crop_detector.run_of(tmp_path, TrainCropDetectorConfig(**given))
    assert first == crop_detector.run_of(tmp_path, TrainCropDetectorConfig(**given, threads=1))
    assert first != crop_detector.run_of(tmp_path, TrainCropDetectorConfig(**given, seed=1))
    moved = tmp_path / "moved"
    moved.mkdir()
    (moved / "boxes.csv").write_bytes(labels.read_bytes())
    again = given | {"labels": str(moved / "boxes.csv")}
    assert first == crop_detector.run_of(tmp_path, TrainCropDetectorConfig(**again))
    with labels.open("a") as file:
        file.write("0.png,96,72,red,1,1,40,40\n")
    assert first != crop_detector.run_of(tmp_path, TrainCropDetectorConfig(**given))


def test_a_run_belongs_to_the_weights_that_a_file_holds(tmp_path):
    (tmp_path / "a.keras").write_bytes(b"one")
    (tmp_path / "b.keras").write_bytes(b"one")
    of = [TrainCropDetectorConfig(weights=str(tmp_path / f"{name}.keras")) for name in "ab"]
    one, other = (crop_detector.run_of(tmp_path, config) for config in of)
    assert one == other
    (tmp_path / "b.keras").write_bytes(b"other")
    assert crop_detector.run_of(tmp_path, of[1]) != one


def test_it_is_finished_when_its_figures_are_there(tmp_path):
    config = TrainCropDetectorConfig(**SCRATCH)
    assert not crop_detector.finished(tmp_path, config)
    run = crop_detector.run_of(tmp_path, config)
    run.mkdir(parents=True)
    assert not crop_detector.finished(tmp_path, config)
    (run / "metrics.json").write_text("{}")  # as `evaluate` writes it
    assert not crop_detector.finished(tmp_path, config)
    (run / "detector").mkdir()
    assert crop_detector.finished(tmp_path, config)


def test_without_labels_it_says_where_they_come_from(tmp_path):
    with pytest.raises(SettingsError, match=r"labels is empty: .*review --export FILE.csv"):
        crop_detector.train_detector(tmp_path, TrainCropDetectorConfig(**SCRATCH), lambda *_: None)


@pytest.mark.slow
def test_a_wrong_labels_file_comes_back_as_one_sentence(tmp_path):
    given = SMALL | {"labels": str(tmp_path / "gone.csv"), "pictures": str(tmp_path)}
    with pytest.raises(
        TrainError, match=r"^\S*gone.csv: there is no such CSV or JSON file or folder"
    ):
        crop_detector.train_detector(tmp_path, TrainCropDetectorConfig(**given), lambda *_: None)


@pytest.mark.slow
@pytest.mark.usefixtures("plain_graphs")
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_trained_detector_finds_in_the_pipeline(tmp_path, monkeypatch):
    """Trained and tried in this process, by a small network."""
    monkeypatch.setattr(detect.processes, "run_apart", run_here)
    monkeypatch.setitem(network.MAKERS, "mobilenetv2", small_backbone)
    monkeypatch.setattr(cli, "set_up", lambda _: None)
    monkeypatch.setattr(
        crop_detector.child,
        "follow",
        lambda command, *_: (cli.main(command[command.index("detectors") + 1 :]), ""),
    )
    labels, pictures = dataset(tmp_path)
    given = {f"TrainCropDetector_{name}": value for name, value in {**SMALL, "epochs": 1}.items()}
    given |= {"TrainCropDetector_labels": labels, "TrainCropDetector_pictures": pictures}
    for _ in range(2):  # the second time there is nothing to do
        trained = run(tmp_path, "run", "TrainCropDetector", **given)
        assert trained.returncode == 0, trained.stderr
    assert "epoch" not in trained.stdout
    (detector,) = (tmp_path / "store" / "detectors").glob("portrait-*/detector")
    pictures.rename(tmp_path / "photos")
    named = f"crop:{detector}?names=portrait&min_score=0.01"
    built = run(tmp_path, "run", "Dataset", Detect_detector=named, Crop_enlarge="true")
    assert built.returncode == 0, built.stderr
    (written,) = (tmp_path / "store" / "detect").glob("*/*.parquet")
    labels = {box.label for row in manifest.read_manifest(written) for box in row.boxes}
    assert labels == {"portrait"}
    made = [
        [row for row in manifest.read_manifest(path) if row.drop is None]
        for stage in ("crop", "resize")
        for path in (tmp_path / "store" / stage).glob("*/*.parquet")
    ]
    proposed, kept = made
    assert len(proposed) == len(kept) > 0
    assert all(row.rectangle and row.face is None for row in proposed)
