"""Laws: every command that explores runs on every kind of model, and says what is wrong."""

import csv
import json
from functools import cache

import cv2
import numpy as np
import pytest
from PIL import Image

from atelier.arrays import save_arrays
from pipeline.stages import filter_quality
from tests.kit.films import read_comment
from tests.kit.small_models import KINDS, small_model
from tests.kit.training_runs import draw
from training import cli
from training.config import ConfigError
from training.exchange.opening import OpenedGenerator, open_generator
from training.explore import asked
from training.explore import model as drawing
from training.explore.directions import load_directions
from training.explore.writing import write_picture

PICTURES = {  # command: its words, and how many rows of pictures its sheet has
    "generate": ["--seeds=0-2", "--grid", "--columns=2"],
    "mix": ["--rows=0,1", "--columns=2,3", "--levels=0"],
    "truncation": ["--seeds=0,1", "--steps=3"],
    "noise": ["--seeds=0", "--draws=2"],
    "layers": ["--seeds=0"],
    "directions": ["--seeds=0", "--count=2"],
}
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eagerly")]
every_kind = pytest.mark.parametrize("kind", KINDS)
every_sheet = pytest.mark.parametrize("command", PICTURES)


@pytest.fixture(scope="module", autouse=True)
def compiled_once():
    """Every command opens its model; those of one file share its networks."""
    known, network = {}, OpenedGenerator.network

    def of_file(opened, part="G_ema", **arithmetic):
        key = opened.digest, part, *sorted(arithmetic.items())
        if key not in known:
            known[key] = network(opened, part, **arithmetic)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OpenedGenerator, "network", of_file)
        patch.setattr(drawing, "Sampler", cache(drawing.Sampler))
        yield


def run(*words):
    return cli.main([str(word) for word in words])


def sentence(capsys, *words):
    code = run(*words)
    out, err = capsys.readouterr()
    assert (code, out) == (2, ""), err
    assert err.startswith("error: ") and err.count("\n") == 1
    return err.removeprefix("error: ").rstrip("\n")


@every_kind
@every_sheet
def test_a_sheet_is_a_picture_that_says_what_it_is_of(models, kind, command, tmp_path, capsys):
    out = tmp_path / "new folder" / "sheet.png"
    if (command, kind) == ("noise", "student"):
        assert run(command, "--model", models[kind], *PICTURES[command], "--out", out) == 2
        assert "is a student, which adds none" in capsys.readouterr().err
        return
    assert run(command, "--model", models[kind], *PICTURES[command], "--out", out) == 0
    with Image.open(out) as image:
        assert image.mode == "RGB" and min(image.size) >= 48
        assert np.asarray(image).std() > 10
        assert image.text["model"] == open_generator(models[kind]).digest
        assert "psi" in image.text and {"seeds", "rows"} & image.text.keys()


@every_kind
def test_pictures_by_seed_are_those_of_the_model(models, kind, tmp_path):
    assert run("generate", "--run", models[kind], "--seeds=3,7-8", "--out", tmp_path) == 0
    config = open_generator(models[kind]).config
    for seed in (3, 7, 8):
        with Image.open(tmp_path / f"seed{seed:04d}.png") as image:
            assert image.size == (config.width, config.height)
            assert len(image.getbands()) == config.channels
            known = {"seed": str(seed), "psi": "0.7"}
            assert image.text.items() >= known.items()
            assert ("label" in image.text) == bool(config.labels)


@every_kind
@pytest.mark.parametrize("space", ["z", "w"])
def test_a_film_has_its_frames_its_size_and_its_comment(models, kind, space, tmp_path):
    out, config = tmp_path / "film.mp4", open_generator(models[kind]).config
    words = ["--seeds=0,1", "--frames=3", "--fps=5", "--size=40", "--space", space]
    assert run("interpolate", "--model", models[kind], *words, "--way=spherical", "--out", out) == 0
    film = cv2.VideoCapture(str(out))
    assert film.get(cv2.CAP_PROP_FPS) == 5 and film.get(cv2.CAP_PROP_FRAME_COUNT) == 4
    frames = [film.read() for _ in range(5)]
    assert [found for found, _ in frames] == [True] * 4 + [False]
    height, width = frames[0][1].shape[:2]
    assert max(height, width) == 40 and (height < width) == (config.height < config.width)
    about = json.loads(read_comment(out.read_bytes()))
    assert about["model"] == open_generator(models[kind]).digest
    assert (about["seeds"], about["space"], about["psi"]) == ("0,1", space, "0.7")


@every_kind
def test_scores_are_a_table_that_the_pipeline_reads(models, kind, tmp_path):
    photos = draw(tmp_path / "photos", count=5, size=(30, 22))
    more = ["--label=1"] if open_generator(models[kind]).config.labels else []
    words = ["--photos", photos, "--out", tmp_path / "scores.csv", "--sheet", tmp_path / "s.jpg"]
    assert run("assess", "--model", models[kind], *words, *more) == 0
    with (tmp_path / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [f"{n:03}.png" for n in range(5)]
    assert len({float(row["score"]) for row in rows}) == 5
    config = filter_quality.FilterQualityConfig(scores=str(tmp_path / "scores.csv"))
    read = filter_quality.scores_of(config, lambda: {row["file"]: row["file"] for row in rows})
    assert list(read.values()) == [float(row["score"]) for row in rows]
    with Image.open(tmp_path / "s.jpg") as image:
        assert json.loads(image.info["comment"]).keys() == {"model"}


@pytest.mark.parametrize("kind", ["rgba", "conditional", "NVIDIA's"])
def test_a_sample_is_followed_over_checkpoints(models, kind, tmp_path, capsys):
    """The last one's scores stand first; each one's are those that it gives alone."""
    config = open_generator(models[kind]).config
    photos, more = draw(tmp_path / "photos", 3), ["--label=1"] if config.labels else []
    words = ["assess", "--photos", photos, "--out", tmp_path / "s.csv", *more]
    if kind == "NVIDIA's":
        said = sentence(capsys, *words, "--model", models[kind], "--chart", tmp_path / "s.svg")
        assert said.startswith(f"model = {models[kind]}: there are no checkpoints in it to follow")
        return
    run_folder = tmp_path / "run" / "checkpoints"
    run_folder.mkdir(parents=True)
    for seen in (0, 2000):
        small_model(run_folder / f"{seen:010d}.npz", kind, seed=seen)
    chart = ["--chart", tmp_path / "s.svg", "--sheet", tmp_path / "s.png"]
    assert run(*words, "--model", run_folder.parent, *chart) == 0
    with (tmp_path / "s.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [*rows[0]] == ["file", "score", "0 kimg", "2 kimg"]
    svg = (tmp_path / "s.svg").read_text()
    assert svg.count("<polyline") == 4 and "kimg" in svg  # three photos and the median
    for name, column in (("0000000000", "0 kimg"), ("0000002000", "2 kimg")):
        assert run(*words, "--model", run_folder / f"{name}.npz") == 0
        with (tmp_path / "s.csv").open() as file:
            alone = [row["score"] for row in csv.DictReader(file)]
        assert alone == [row[column] for row in rows]
    assert [row["score"] for row in rows] == [row["2 kimg"] for row in rows]
    assert rows[0]["0 kimg"] != rows[0]["2 kimg"]


def test_checkpoints_of_two_networks_are_refused(models, tmp_path, capsys):
    photos, both = draw(tmp_path / "photos", 1), f"{models['rgb']},{models['grey']}"
    words = ["assess", "--model", models["rgb"], "--photos", photos, "--out", tmp_path / "s.csv"]
    said = sentence(capsys, *words, "--checkpoints", both)
    assert said == (
        f"checkpoints: {models['grey']} is of another network than {models['rgb']}: name those of"
        " one run"
    )
    said = sentence(capsys, *words, "--checkpoints", "/nowhere")
    assert said == "checkpoints = /nowhere: there is no such run or checkpoint"


def test_directions_are_kept_by_name_and_taken_by_their_amount(models, tmp_path, capsys):
    kept, out, model = tmp_path / "d.npz", tmp_path / "s.png", ["--model", models["rgb"]]
    find = ["directions", *model, "--seeds=0", "--count=2", "--save", kept, "--out", out]
    assert run(*find, "--names=smile,age", "--levels=0-1") == 0
    assert run(*find, "--method=pca") == 0
    capsys.readouterr()
    taken = ["generate", *model, "--seeds=0", "--directions", kept, "--out", tmp_path]
    found = {}
    for words in (["smile=0"], ["smile=2"], ["age=-1", "pca2=3"]):
        assert run(*taken, *(f"--direction={word}" for word in words)) == 0
        with Image.open(tmp_path / "seed0000.png") as image:
            assert image.text["directions"] == ",".join(words)
            found[words[0]] = np.asarray(image).astype(int)
    assert run("generate", *model, "--seeds=0", "--out", tmp_path) == 0
    with Image.open(tmp_path / "seed0000.png") as image:
        np.testing.assert_array_equal(found["smile=0"], np.asarray(image))
    assert abs(found["smile=2"] - found["smile=0"]).mean() > 1
    capsys.readouterr()
    said = sentence(capsys, *taken, "--direction=smil=1")
    assert said == f"direction = smil: {kept} has none; did you mean smile?"
    said = sentence(capsys, *taken, "--direction=smile")
    assert said == "direction = 'smile': write a name and a number, as in sefa1=2.5"
    other = ["generate", "--model", models["grey"], *taken[3:], "--direction=smile=1"]
    assert run(*other) == 0  # the same widths
    assert "were found in another file than this model" in capsys.readouterr().out
    smaller = ["generate", "--model", models["NVIDIA's"], *taken[3:], "--direction=smile=1"]
    assert "direction = smile: it is of a model of another shape" in sentence(capsys, *smaller)
    again = ["directions", "--model", models["grey"], *find[3:]]
    assert sentence(capsys, *again).startswith(f"{kept} holds directions of another model: ")


W = np.ones(5, np.float32)
KEPT = {  # what a file can say of a direction, and is none: step, levels, share
    "nan": (W * np.nan, [0], 0.1),
    "far": (W.astype(float) * 1e300, [0], 0.1),
    "two axes": (np.ones((5, 5), np.float32), [0], 0.1),
    "no axis": (np.float32(1), [0], 0.1),
    "whole numbers": (np.ones(5, int), [0], 0.1),
    "complex": (W * 1j, [0], 0.1),
    "text": (np.array(["a"] * 5), [0], 0.1),
    "no level": (W, [], 0.1),
    "a level in text": (W, ["0"], 0.1),
    "text for levels": (W, "01", 0.1),
    "below": (W, [-1], 0.1),
    "half a level": (W, [0.5], 0.1),
    "true": (W, [True], 0.1),
    "no share": (W, [0], float("inf")),
}


@pytest.mark.parametrize("case", KEPT)
def test_a_file_whose_direction_is_none_is_refused(case, tmp_path):
    step, levels, share = KEPT[case]
    known = {"levels": levels, "share": share}
    path = tmp_path / "d.npz"
    save_arrays(path, {"a": np.asarray(step)}, {"directions": {"a": known}, "model": "0"})
    with pytest.raises(ConfigError, match="holds no directions: write it with"):
        load_directions(path)


def test_a_sheet_too_long_for_a_jpeg_is_said_before_it_is_drawn(models, tmp_path, capsys):
    words = ["--grid", "--columns=1", "--seeds=0-1399", "--model", models["rgb"]]
    said = sentence(capsys, "generate", *words, "--out", tmp_path / "tall.jpg")
    assert "67200 pixels are more than the 65500 of a JPEG: name a .png" in said
    with pytest.raises(ConfigError, match="no JPEG can say as much"):
        write_picture(tmp_path / "a.jpg", np.zeros((1, 1, 3), np.uint8), {"seeds": "7" * 70_000})
    assert not list(tmp_path.iterdir())


def test_a_seed_named_twice_is_one_picture(models, tmp_path, capsys):
    assert run("generate", "--seeds=7,7,7-7", "--model", models["rgb"], "--out", tmp_path) == 0
    assert capsys.readouterr().out.startswith("1 picture in ")


@pytest.mark.parametrize("kind", ["grey", "rgba", "not square", "conditional", "student"])
def test_a_photo_is_found_again_and_kept(models, kind, tmp_path, capsys):
    photos = draw(tmp_path / "photos", count=1, size=(30, 22))
    out, kept, film = (tmp_path / name for name in ("p.png", "p.npz", "p.mp4"))
    words = ["--photo", photos / "000.png", "--steps=3", "--space=w+"]
    words += ["--out", out, "--save", kept, "--film", film]
    assert run("project", "--model", models[kind], *words) == 0
    assert capsys.readouterr().out.startswith("comparing ")
    with np.load(kept) as file:
        assert file["ws"].shape[1] == open_generator(models[kind]).config.rows
    assert json.loads(read_comment(film.read_bytes()))["space"] == "w+"
    with Image.open(out) as image:
        assert image.text["steps"] == "3"


BAD = {
    "no photo": (["project", "--photo=/nowhere"], "photo = /nowhere: there is no such file"),
    "seeds that are none": (["generate", "--seeds=a"], "seeds = 'a': write numbers and ranges"),
    "a film of one seed": (["interpolate", "--seeds=4"], "seeds = '4': that is 1; give at least 2"),
    "psi too large": (["generate", "--psi=7"], "argument --psi: '7': "),
    "psi too small": (["truncation", "--from=-9"], "argument --from: '-9': "),
    "no classes": (["mix", "--label=1"], "label = 1: this model has 0 classes"),
    "no such level": (["mix", "--levels=1-9"], "levels = 1-9: this model has levels 0 to 2"),
    "no fine level": (["mix", "--levels=fine"], "levels = fine: this model has none of them"),
    "levels in words": (["mix", "--levels=all"], "levels = 'all': write coarse, middle, fine"),
    "a cutoff too high": (["layers", "--cutoff=3"], "cutoff = 3: this model has levels 0 to 2"),
    "seeds of rows": (["mix", "--rows=x"], "rows = 'x': write numbers and ranges"),
    "too many pictures": (["truncation", "--seeds=0-999"], "seeds: that makes 9000 pictures"),
    "names too many": (["directions", "--names=a,b,c,d,e"], "names = a,b,c,d,e: give at most 4"),
    "a name with a blank": (["directions", "--names=a b", "--save=DIR/d.npz"], "names = a b: use "),
    "no directions": (["generate", "--direction=a=1"], "directions is missing: name the file"),
    "seeds that end first": (["generate", "--seeds=0-3,5-2"], "5-2 holds none: write 2-5"),
    "levels that end first": (["mix", "--levels=0,2-1"], "levels = '0,2-1': 2-1 holds none"),
    "a direction twice": (
        ["generate", "--directions=d", "--direction=a=1", "--direction=a=2"],
        "direction = 'a=2': a was given already",
    ),
    "far out": (["generate", "--directions=d", "--direction=a=1e30"], "at most 1000 standard"),
    "directions, and none taken": (["generate", "--directions=d"], "directions = d: none of it is"),
    "a film of years": (
        ["interpolate", "--seeds=0-999", "--frames=9999"],
        "frames: that makes 9989002, a film has at most 1000000",
    ),
    "a grid of too many": (["generate", "--grid", "--seeds=0-2999"], "seeds: that makes 3000"),
    "a mix of too many": (["mix", "--rows=0-99", "--columns=0-99"], "seeds: that makes 10201"),
    "directions of too many": (["directions", "--seeds=0-999"], "seeds: that makes 28000"),
    "noise of too many": (["noise", "--seeds=0-999"], "seeds: that makes 12000 pictures"),
    "levels of too many": (["layers", "--seeds=0-999"], "seeds: that makes 6000 pictures"),
    "a range without an end": (["mix", "--rows=0-"], "rows = '0-': write numbers and ranges"),
    "from below 0": (["mix", "--rows=-2-1"], "rows = '-2-1': write numbers and ranges"),
    "columns of no sheet": (["generate", "--columns=3"], "columns = 3: they are those of a sheet"),
    "directions that are not there": (
        ["generate", "--directions=/none", "--direction=a=1"],
        "directions = /none: there is no such file",
    ),
    "a name of no direction": (
        ["directions", "--names=a=b", "--save=DIR/a.npz"],
        "names = a=b: use letters",
    ),
    "a checkpoint too few": (["assess", "--photos=DIR", "--checkpoints=DIR,"], "it is empty"),
    "no photos": (["assess", "--photos=DIR"], "photos = DIR: there are no pictures: name a"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_is_one_sentence(models, case, tmp_path, capsys):
    words, said = BAD[case]
    kind = {"interpolate": ".mp4", "assess": ".csv"}.get(words[0], ".png")
    (tmp_path / "empty").mkdir()
    words = [word.replace("DIR", str(tmp_path / "empty")) for word in words]
    folder = words[0] == "generate" and "--grid" not in words
    out = tmp_path / ("folder" if folder else f"out{kind}")
    found = sentence(capsys, *words, "--model", models["rgb"], "--out", out)
    assert said.replace("DIR", str(tmp_path / "empty")) in found
    assert not out.exists()


@pytest.mark.parametrize("command", [*PICTURES, "interpolate", "assess"])
def test_where_nothing_can_be_written(models, command, tmp_path, capsys):
    kind = {"interpolate": "mp4", "assess": "csv"}.get(command, "png")
    words = [command, "--model", models["rgb"], *PICTURES.get(command, [])]
    words += ["--photos", tmp_path] if command == "assess" else []
    for place in ("/proc/x", "/dev/null/x"):
        said = sentence(capsys, *words, "--out", f"{place}/out.{kind}")
        assert said == f"out = {place}: that is no folder one can write to: choose another"
    said = sentence(capsys, *words, "--out", tmp_path / "out.exe")
    assert said.startswith(f"out = {tmp_path}/out.exe: name a file that ends with .{kind}")
    said = sentence(capsys, command, "--model=/nowhere", *words[3:], "--out", tmp_path / "x")
    assert said == "model = /nowhere: there is no such run or checkpoint"


def test_a_file_without_d_cannot_judge(tmp_path, capsys):
    path = small_model(tmp_path / "small.npz", "rgb", discriminator=False)
    photos = draw(tmp_path / "photos", count=1)
    words = ["assess", "--model", path, "--photos", photos, "--out", tmp_path / "s.csv"]
    assert sentence(capsys, *words).startswith(f"{path} has no D to judge with: name a run")


def test_classes_of_photos_are_said_or_asked_for(models, tmp_path, capsys):
    photos = draw(tmp_path / "photos", count=2)
    model, out = models["conditional"], tmp_path / "s.csv"
    words = ["assess", "--model", model, "--photos", photos, "--out", out]
    assert sentence(capsys, *words).startswith("label: this model has 3 classes, and ")
    (photos / "dataset.json").write_text('{"labels": [["000.png", 2], ["001.png", 0]]}')
    assert run(*words) == 0
    rows = out.read_text().splitlines()
    assert run(*words, "--label=2") == 0
    assert out.read_text().splitlines()[1] == rows[1] != rows[2]


def test_a_photo_that_cannot_be_read_is_left_out_with_its_reason(models, tmp_path, capsys):
    photos = draw(tmp_path / "photos", count=2)
    (photos / "broken.png").write_bytes((photos / "000.png").read_bytes()[:60])
    words = ["assess", "--model", models["rgb"], "--photos", photos, "--out", tmp_path / "s.csv"]
    assert run(*words) == 0
    assert f"note: left out: {photos}/broken.png: " in capsys.readouterr().out
    assert len((tmp_path / "s.csv").read_text().splitlines()) == 3


OVER = {  # command: the option that names what is written, and the file that would be lost
    "project": [("--out", "photo.png"), ("--save", "model.npz")],
    "assess": [("--sheet", "photos/photo.png"), ("--sheet", "photos/new.png")],
    "directions": [("--save", "model.npz")],
}


@pytest.mark.parametrize("command", OVER)
def test_what_a_command_reads_it_does_not_write_over(tmp_path, capsys, command):
    small_model(tmp_path / "model.npz", "rgb")
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (16, 16)).save(tmp_path / "photos" / "photo.png")
    (tmp_path / "photo.png").symlink_to("photos/photo.png")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    read = {"project": ["--photo", tmp_path / "photo.png"], "assess": ["--photos", "photos"]}
    words = [command, "--model", tmp_path / "model.npz", *read.get(command, [])]
    words = [tmp_path / word if word == "photos" else word for word in words]
    for flag, name in OVER[command]:
        others = {"--out": tmp_path / ("new.csv" if command == "assess" else "new.png")}
        more = others | {flag: tmp_path / name}
        said = sentence(capsys, *words, *(word for pair in more.items() for word in pair))
        assert said.endswith(f"{name}: this is what is read: choose another name")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


def test_beside_what_is_read_a_file_can_be_written_again_and_again(tmp_path):
    run, photos = tmp_path / "run", tmp_path / "photos"
    for folder in (run / "checkpoints", photos):
        folder.mkdir(parents=True)
    for name, read in (("faces.npz", run), ("scores.csv", photos), ("x.csv", tmp_path / "none")):
        file = (read if read.is_dir() else tmp_path) / name
        for _ in range(2):
            asked.check_file(file, (file.suffix,), read=[read])
            file.touch()
    with pytest.raises(ConfigError, match="this is what is read"):
        asked.check_file(run / "checkpoints" / "0000000016.npz", (".npz",), read=[run])
