"""The commands as their users run them: processes of their own, killed, wrong, two at once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import photo, save
from test_laws import results

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


def command(folder, *words, store="store", **more):
    """The arguments of Popen for `python -m pipeline` on the photos of `folder`."""
    options = {
        "Store-root": folder / store,
        "Ingest-source": folder / "photos",
        "Dataset-size": 64,
        "Detect-detector": "none",
        "Engine-scheduler": "in-process",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    given = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return [sys.executable, "-m", "pipeline", *words, *given]


def run(folder, *words, **more):
    line = command(folder, *words, **more)
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.fixture
def folder(tmp_path):
    """Three photos in `photos`."""
    for number in range(3):
        save(tmp_path / "photos" / f"{number}.jpg", photo(number, size=(160, 120)))
    return tmp_path


def test_the_end_of_a_run_is_the_funnel_and_the_report(folder):
    done = run(folder, "run")
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


@pytest.mark.parametrize(
    ("words", "options", "code", "said"),
    [
        (["run", "Crp"], {}, 2, "no task is called Crp; did you mean Crop?"),
        (["run"], {"Ingest_source": "/no/such"}, 2, "[Ingest] source = /no/such: there is no such folder"),
        (
            ["run"],
            {"Crop_max_face": 1},
            2,
            "[Crop] has no option max_face; did you mean max_faces?",
        ),
        (["run"], {"Crop_max_faces": 0}, 2, "[Crop] max_faces = 0: give a value at least 1"),
        (["run"], {"Crop_max_faces": "x"}, 2, "[Crop] max_faces = 'x': give a whole number"),
        (["run"], {"Crop_enlarge": "x"}, 2, "[Crop] enlarge = 'x': give true or false"),
        (["run"], {"Detect_detector": "x"}, 2, "[Detect] detector = 'x': choose one of haar, none"),
        (["run"], {"Dataset_size": "12y"}, 2, "[Dataset] size = '12y': give pixels"),
        (["run"], {"Dataset_background": "x"}, 2, "[Dataset] background = 'x': give a colour"),
        (["run"], {"Dataset_size": 256}, 1, "no picture is left to export"),
    ],
)
def test_what_is_wrong_is_one_sentence(folder, words, options, code, said):
    done = run(folder, *words, **options)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_store_that_cannot_be_written_is_one_sentence(folder):
    (folder / "file").write_text("in the way")
    done = run(folder, "run", store="file/store")
    assert done.returncode == 1
    said = f"error: cannot write to the store {folder}/file/store (Not a directory): make it"
    assert done.stderr.splitlines()[-1].startswith(said)
    assert "Traceback" not in done.stderr


def test_of_two_commands_the_second_says_who_is_first(folder):
    first = started(folder, "run", Engine_scheduler="local", Engine_workers=1)
    wait_for(folder / "store" / "lock")
    second = run(folder, "run")
    assert second.returncode == 3
    assert f"in use by process {first.pid} on " in second.stderr
    first.communicate(timeout=60)
    assert first.returncode == 0


def test_ctrl_c_says_that_it_stopped_and_leaves_no_process(folder):
    for number in range(40):
        save(folder / "photos" / f"{number}.png", photo(number, size=(800, 600)))
    process = started(folder, "run", Engine_scheduler="local", Engine_workers=1, Engine_rows=1)
    wait_for_some(folder / "store", "detect/*/parts/*.parquet", 1)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert family
    assert not psutil.wait_procs(family, timeout=5)[1]
    assert process.returncode == 130
    assert "the same command goes on" in said
    assert "Traceback" not in said
    assert run(folder, "run").returncode == 0


@pytest.mark.parametrize("stage", ["detect", "resize", "records"])
def test_kill_9_in_the_middle_keeps_what_is_finished(tmp_path, stage):
    for number in range(24):
        save(tmp_path / "photos" / f"{number}.png", photo(number, size=(800, 600)))
    more = {"Dataset_size": 512, "Engine_scheduler": "local", "Engine_workers": 2, "Engine_rows": 2}
    assert run(tmp_path, "run", store="undisturbed", **more).returncode == 0
    process = started(tmp_path, "run", **more)
    found = {"records": "records/*/parts/*.parquet"}.get(stage, f"{stage}/*/parts/*.parquet")
    finished = wait_for_some(tmp_path / "store", found, 3)
    process.kill()
    process.communicate()
    killed_at = {path: path.stat().st_mtime_ns for path in finished}
    again = run(tmp_path, "run", **more)
    assert again.returncode == 0, again.stderr
    still = {path: path.stat().st_mtime_ns for path in finished if path.exists()}
    assert stage == "records" or still == killed_at
    ours, theirs = results(tmp_path / "store"), results(tmp_path / "undisturbed")
    assert ours.keys() == theirs.keys()
    assert ours == theirs


def started(folder, *words, **more):
    line = command(folder, *words, **more)
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(line, cwd=ROOT, **pipes)


def wait_for(path):
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.05)
    raise TimeoutError(path)


def wait_for_some(folder, pattern, count):
    for _ in range(1200):
        found = list(folder.glob(pattern))
        if len(found) >= count:
            return found
        time.sleep(0.02)
    raise TimeoutError(pattern)


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


def test_options_prints_what_is_committed():
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "options"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout == (ROOT / "docs" / "options.md").read_text()
