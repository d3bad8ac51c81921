"""The commands as their users run them: what they do, and what they say of bad options."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.commands import command, error, run, run_apart, told
from tests.kit.store import ROOT, photo, save

pytestmark = pytest.mark.slow


def test_the_end_of_a_run_is_the_funnel_and_the_report(folder):
    done = run_apart(folder, "run")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == str(folder / "store" / "report.html")
    assert any(line.split() == ["Ingest", "3", "3"] for line in lines)
    assert (folder / "store" / "dataset" / "dataset-r06.tfrecords").is_file()
    assert "<html" in (folder / "store" / "report.html").read_text()
    again = run(folder, "run")
    assert again.returncode == 0
    assert "rows" not in again.stderr


def test_status_runs_nothing(folder):
    before = run(folder, "status")
    assert before.returncode == 0, before.stderr
    assert "open  3 of 3 rows to do; 0 kept, 0 dropped" in before.stdout.splitlines()[0]
    assert not (folder / "store").exists()
    assert run(folder, "run", "Detect").returncode == 0
    after = run(folder, "status").stdout.splitlines()
    assert after[1] == "Detect           done  3 kept, 0 dropped"
    assert after[2] == "Crop             open"
    several = run(folder, "status", Detect_detector="none, haar:profile").stdout.splitlines()
    assert several[1:4] == [
        "Detect none          done  3 kept, 0 dropped",
        "Detect haar:profile  open  3 of 3 rows to do; 0 kept, 0 dropped",
        "Crop                 waits for the stages before it",
    ]


@pytest.mark.parametrize(
    ("words", "options", "code", "said"),
    [
        (["run", "Crp"], {}, 2, "no task is called Crp; did you mean Crop?"),
        (
            ["run"],
            {"Ingest_source": "/no/such"},
            2,
            "[Ingest] source = /no/such: there is no such folder",
        ),
        (
            ["run"],
            {"Crop_max_face": 1},
            2,
            "[Crop] has no option max_face; did you mean max_faces?",
        ),
        (["run"], {"Crop_max_faces": 0}, 2, "[Crop] max_faces = 0: give a value of at least 1"),
        (["run"], {"Crop_max_faces": "x"}, 2, "[Crop] max_faces = 'x': give a whole number"),
        (["run"], {"Crop_enlarge": "x"}, 2, "[Crop] enlarge = 'x': give true, false or a number"),
        (["run"], {"Detect_detector": "x"}, 2, "[Detect] detector = 'x': no detector is called"),
        (["run"], {"Dataset_size": "12y"}, 2, "[Dataset] size = '12y': give pixels"),
        (["run"], {"Dataset_background": "x"}, 2, "[Dataset] background = 'x': give a colour"),
        (["run"], {"Dataset_size": 256}, 1, "no picture is left to export"),
    ],
)
def test_what_is_wrong_is_one_sentence(folder, words, options, code, said):
    assert said in error(run(folder, *words, **options), code)


def test_the_process_ends_with_what_main_returns(folder):
    said = error(run_apart(folder, "run", Crop_max_faces=0), code=2)
    assert said == "[Crop] max_faces = 0: give a value of at least 1"


def test_a_store_that_cannot_be_written_is_one_sentence(folder):
    (folder / "file").write_text("in the way")
    said = error(run(folder, "run", store="file/store"))
    assert said.startswith(f"cannot write to the store {folder}/file/store (Not a directory): make")


def test_luigi_finds_the_tasks_and_the_settings_from_any_folder(folder):
    own = Path(sys.executable).with_name("luigi")
    options = command(folder)[3:]
    line = [str(own), "--module", "pipeline", "Resize", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list((folder / "store").glob("resize/*/pictures/*/*.jpg"))) == 3
    line[3] = "NoSuchTask"
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    line[3] = "Ingest"
    missing = [*line, "--Ingest-source", "/no/such"]
    done = subprocess.run(missing, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    assert "there is no such folder" in done.stderr


def test_gc_lists_first_and_deletes_only_what_no_recipe_reaches(folder):
    assert run(folder, "run").returncode == 0
    (folder / "store" / "runs" / "mine").mkdir(parents=True)
    recipe = folder / "mine.cfg"
    recipe.write_text("[Dataset]\nsize = 64\n[Detect]\ndetector = none\n")
    kept = run(folder, "gc", "--keep", str(recipe), "--delete")
    assert kept.stdout == "nothing to delete: every result is reached by a recipe\n"
    other = {"Dataset_size": 32, "Detect_detector": "haar"}
    listed = run(folder, "gc", **other)
    assert "/store/detect/" in listed.stdout and "/store/ingest/" not in listed.stdout
    assert listed.stdout.splitlines()[-1].endswith("gc --delete deletes them")
    assert list(folder.glob("store/detect/*/parts/*"))
    assert run(folder, "gc", "--delete", **other).returncode == 0
    assert not list(folder.glob("store/detect/*"))
    assert list(folder.glob("store/ingest/*/parts/*"))
    assert (folder / "store" / "runs" / "mine").is_dir()
    assert (folder / "store" / "dataset" / "dataset.json").is_file()


def test_source_says_where_photos_are_taken_from(folder):
    assert run(folder, "source").stdout == f"{folder}/photos\n"
    given = ("source", "TrainStyleGAN", "--retry")
    assert run(folder, *given, Ingest_source="").stdout == "\n"
    (folder / "store" / "raw").mkdir(parents=True)
    assert run(folder, *given, Ingest_source="").stdout == f"{folder}/store/raw\n"


def test_rescan_reads_every_file_again(folder):
    assert run(folder, "run", "Detect").returncode == 0
    first = folder / "photos" / "0.jpg"
    seen = os.stat(first)
    other = photo(77, size=(160, 120))
    save(first, other, quality=75)
    data = first.read_bytes()[: seen.st_size]
    first.write_bytes(data + bytes(seen.st_size - len(data)))
    os.utime(first, ns=(seen.st_atime_ns, seen.st_mtime_ns))  # the same to any look from outside
    assert run(folder, "run", "Detect").stderr == ""
    again = run(folder, "run", "Detect", "--rescan")
    assert again.returncode == 0, again.stderr
    assert "Ingest: 3 of 3 rows" in again.stderr
    assert "Detect: 1 of 1 rows" in again.stderr


def test_retry_forgets_only_photos_that_killed_their_worker(folder):
    assert run(folder, "run", "Detect").returncode == 0
    (part,) = list(folder.glob("store/detect/*/parts/*.parquet"))[:1]
    part.rename(part.with_name(f"killed-{part.name}"))
    assert run(folder, "run", "Detect").stderr == ""
    again = run(folder, "run", "Detect", "--retry")
    assert again.returncode == 0
    assert "Detect: " in again.stderr and "Ingest" not in again.stderr
    assert not list(folder.glob("store/detect/*/parts/killed-*"))


def test_records_packs_a_folder_of_ready_pictures(folder):
    done = run(folder, "records", str(folder / "photos"), str(folder / "out" / "ready"))
    assert done.returncode == 0, done.stderr
    assert "160 x 120 is not square" in done.stdout
    assert (
        len(list((folder / "out" / "ready").glob("ready-r*.tfrecords"))) == 4
    )  # 160 x 120 to 20 x 15


def test_records_makes_a_zip_and_pictures_again(folder):
    place = folder / "out"
    made = run(folder, "records", str(folder / "photos"), str(place / "x.zip"))
    assert made.returncode == 0, made.stderr
    assert "stylegan2-ada-pytorch cannot read this zip: 160 x 120" in made.stdout
    back = run(folder, "records", str(place / "x.zip"), str(place / "x"))
    assert back.returncode == 0 and len(list(place.glob("x/00000/img*.png"))) == 3
    wrong = run(folder, "records", str(place / "x.zip"), str(place / "y"), "--layout", "zip")
    assert "layout zip makes one file: call it y.zip" in error(wrong, 2)
    broken = place / "broken.zip"
    broken.write_bytes((place / "x.zip").read_bytes()[:-30])
    assert "broken.zip is no zip" in error(run(folder, "records", str(broken), str(place / "y")), 2)


def test_options_prints_what_is_committed():
    assert told(["options"]).stdout == (ROOT / "docs" / "options.md").read_text()
