"""The drawn sample: what becomes of each file is what `recipes/sample.cfg` says."""

import configparser
from collections import Counter
from dataclasses import replace

import pytest

import detectors
from atelier import pictures
from pipeline.options import REPOSITORY
from pipeline.photos.folder import listing, read_photo
from pipeline.rows.manifest import Item, dropped, outcome, rows_table
from pipeline.sample import CAST, SHOTS, draw, photo
from pipeline.sections import DatasetConfig
from pipeline.stages import copies, ingest, measure, zoom
from pipeline.stages.crop import CropConfig, Recipe, crop
from pipeline.stages.detect import measure_photo
from pipeline.stages.filter_quality import FilterQualityConfig

pytestmark = pytest.mark.slow  # draws it all


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample") / "raw"
    draw(folder)
    return folder


@pytest.fixture(scope="module")
def drawn(folder):
    """Path -> bytes."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def recipe():
    parsed = configparser.ConfigParser()
    parsed.read(REPOSITORY / "recipes" / "sample.cfg")
    return parsed


@pytest.fixture(scope="module")
def story(folder, recipe):
    """Path -> the row as Crop leaves it."""
    find = detectors.load(detectors.parse("haar"), recipe.getfloat("Detect", "min_face"))
    rows = [row if row.drop else described(row, folder) for row in listing(folder, folder.parent)]
    return {row.path: judged(row, folder, find, recipe) for row in ingest.drop_copies(rows)}


def described(row, folder):
    item = Item("", row, folder / row.path, row.size_bytes, row.mtime_ns)
    return ingest.describe_photo(item, read_photo(item), ingest.IngestConfig())


def judged(row, folder, find, recipe):
    if row.drop:
        return row
    try:
        boxes = measure_photo((folder / row.path).read_bytes(), row, find)
    except pictures.UnreadableError as reason:
        return dropped(row, str(reason))
    config = CropConfig(min_face=recipe.getint("Crop", "min_face"))
    dataset = DatasetConfig(size=recipe.get("Dataset", "size"))
    seen = replace(row, boxes=boxes)
    (result,) = crop(seen, Recipe(config, dataset=dataset))
    return result


def test_training_on_the_sample_looks_at_nothing_twice(recipe):
    other = configparser.ConfigParser()
    other.read(REPOSITORY / "recipes" / "sample-training.cfg")
    for section in ("Store", "Detect", "Crop"):
        assert dict(other[section]) == dict(recipe[section])


def test_each_file_meets_its_fate(story):
    assert Counter(map(outcome, story.values())) == {
        "kept": 17,
        "no face": 4,
        "several faces": 2,
        "face too small": 1,
        "face too close": 1,
        "too few pixels": 1,
        "exact copy": 1,
        "broken file": 1,
        "content is no picture in a known format": 1,
        "not a photo (.txt)": 1,
    }


def test_no_two_of_the_cast_are_copies(story, drawn):
    """Some wear one dress before one wall."""
    kept = [row for row in story.values() if row.drop is None]
    known = [
        replace(row, measures=measure.measured(*measure.looked_at(drawn[row.path], row)))
        for row in kept
    ]
    asked = FilterQualityConfig()
    assert copies.copies(rows_table(known), asked.crop_bits, asked.face_bits) == {}


def test_fates_are_those_of_the_names(story):
    assert outcome(story["to sort/Ada again.jpg"]) == "exact copy"
    assert story["studio/Ada.jpg"].drop is None
    assert outcome(story["family/Emil, too close.jpg"]) == "face too close"
    assert outcome(story["holiday/Hana in the dunes.jpg"]) == "face too small"
    assert outcome(story["scans/Sol, thumbnail.jpg"]) == "too few pixels"
    assert outcome(story["to sort/download stopped.jpg"]) == "broken file"
    assert story["family/three friends.jpg"].drop == "several faces: 3"


def test_portraits_have_one_face_and_many_pixels(story):
    portraits = [row for row in story.values() if row.drop is None]
    assert all(len(row.boxes) == 1 for row in portraits)
    assert all(row.width * row.height >= 1200 * 1600 for row in portraits)


def test_default_detector_finds_the_portraits_too(drawn, story):
    find = detectors.load(detectors.parse("haar"), 0.1)
    for path, row in story.items():
        if row.drop is None:
            grey = pictures.decode_grey(drawn[path], find.long_side)
            assert len(find([grey])[0]) == 1, path


def test_some_portraits_are_sharp_enough_for_close_ups(story):
    portraits = rows_table([row for row in story.values() if row.drop is None])
    small, large = DatasetConfig(size="256"), DatasetConfig(size="1024")
    config = zoom.ZoomConfig()
    assert zoom.passed_over(portraits, config, small)[1].all()
    assert zoom.passed_over(portraits, config, large)[1].sum() >= 2


def test_files_are_what_they_should_be(drawn, story):
    assert story["phone/Noah, turned.jpg"].width < story["phone/Noah, turned.jpg"].height
    assert pictures.decode(drawn["scans/Rosa, cut out.png"], mode="RGBA")[0, 0, 3] == 0
    assert b"Adobe" in drawn["scans/Pavel, CMYK.jpg"][:2000]
    assert (pictures.decode(drawn["scans/Oluchi, grey.jpg"]).std(axis=2) == 0).all()


def test_same_seed_same_bytes_other_seed_others(drawn):
    path = "outdoors/Hana.jpg"
    assert photo(path, seed=0) == drawn[path] != photo(path, seed=1)


def test_everyone_of_the_cast_is_on_a_photo():
    assert {name for shot in SHOTS.values() for name in shot.names.split()} == set(CAST)
