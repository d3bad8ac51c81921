"""`python -m pipeline records`: a folder of ready pictures."""

import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset.publish import ExportError
from pipeline.dataset.ready import chosen_layout, pack_ready, pictures_at
from pipeline.stages.ingest import IngestConfig
from tests.kit.exports import HERE, content, draw, pictures
from tests.kit.records import read_records

LIMIT = IngestConfig().pixel_limit


def records(source: Path, out: Path, layout: str | None = None) -> list[str]:
    """What the command does; returns its notes."""
    chosen = chosen_layout(source, out, layout)
    return pack_ready(pictures_at(source, LIMIT), out, chosen, HERE, lambda _: None)


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    for n in range(5):
        draw(tmp_path / "ready" / f"{n}.png", n)
    return tmp_path / "ready"


def test_a_folder_of_ready_pictures(ready: Path) -> None:
    (ready / ".hidden.png").touch()
    (ready / "readme.txt").touch()
    (ready / "sub").mkdir()
    out = ready.parent / "clothing"
    notes = records(ready, out)
    assert notes == ["2 files are hidden or no pictures, '.hidden.png' the first"]
    assert sorted(content(out)) == [
        "clothing-r02.tfrecords",
        "clothing-r03.tfrecords",
        "clothing-r04.tfrecords",
        "dataset.json",
    ]
    assert len(pictures(out)) == 5
    assert sorted(os.listdir(ready.parent)) == ["clothing", "ready"]
    with pytest.raises(ExportError, match="exists already"):
        records(ready, out)


@pytest.mark.parametrize(
    ("size", "mode", "sentence"),
    [
        ((8, 16), "RGB", r"3.png is 8 x 16 pixels, the dataset is 16 x 16"),
        ((16, 16), "L", r"3.png has 1 channel, the first picture has 3"),
        ((16, 16), "RGBA", r"3.png has 4 channels, the first picture has 3"),
    ],
)
def test_mixed_pictures_are_an_error(
    ready: Path, size: tuple[int, int], mode: str, sentence: str
) -> None:
    draw(ready / "3.png", 0, size, mode)
    with pytest.raises(ExportError, match=sentence):
        records(ready, ready.parent / "out")
    assert not (ready.parent / "out").exists()


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="holds no picture"):
        records(tmp_path, tmp_path / "out")
    with pytest.raises(ExportError, match="is no folder"):
        records(tmp_path / "none", tmp_path / "out")


@pytest.mark.real_data
def test_the_records_of_dataset_tool_come_out_equal(tmp_path: Path) -> None:
    if "ATELIER_TESTDATA" not in os.environ:
        pytest.skip("set ATELIER_TESTDATA to the folder of real test data")
    golden = Path(os.environ["ATELIER_TESTDATA"]) / "golden" / "sg2_records"
    records(golden / "png", tmp_path / "clothing32")
    for theirs in sorted((golden / "clothing32").glob("*.tfrecords")):
        ours = tmp_path / "clothing32" / theirs.name
        np.testing.assert_array_equal(list(read_records(ours)), list(read_records(theirs)))
    assert len(list((tmp_path / "clothing32").glob("*.tfrecords"))) == 4
