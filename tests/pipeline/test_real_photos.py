"""Real photos through real stages; needs ATELIER_TESTDATA."""

import pytest

from pipeline.rows import manifest
from tests.commands.test_commands import run

pytestmark = [pytest.mark.real_data, pytest.mark.slow]


def outcomes(folder):
    """The manifest of the last stage of a store."""
    (found,) = (folder / "store").glob("resize/*/*.parquet")
    return manifest.read_manifest(found)


def build(folder, test_data, *sources):
    (folder / "photos").mkdir()
    for source in sources:
        (folder / "photos" / source).symlink_to(test_data / source)
    options = {"Dataset_size": 512, "Detect_detector": "haar", "Engine_scheduler": "local"}
    return run(folder, "run", **options, Zoom_share=0)


def test_most_portraits_get_in(tmp_path, test_data):
    done = build(tmp_path, test_data, "portraits_ge1024", "portraits_512_1023")
    assert done.returncode == 0, done.stderr
    kept = [row for row in outcomes(tmp_path) if row.drop is None]
    assert len(kept) >= 100
    assert all((tmp_path / "store" / row.picture).is_file() for row in kept)


def test_no_picture_without_a_face_gets_in(tmp_path, test_data):
    done = build(tmp_path, test_data, "noface")
    print(done.stdout)
    if done.returncode == 0:
        assert not [row for row in outcomes(tmp_path) if row.drop is None]
    else:
        assert "no picture is left to export" in done.stderr


def test_odd_files_go_through_the_whole_pipeline(tmp_path, test_data):
    (tmp_path / "photos").symlink_to(test_data / "odd")
    done = run(tmp_path, "run", Engine_scheduler="local", Dataset_size=16)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    line = next(line.split() for line in done.stdout.splitlines() if line.startswith("Ingest"))
    assert line[1] == "263"
