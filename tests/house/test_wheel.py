"""An installed Atelier is whole, and works in a project's folder instead of the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.kit.commands import command
from tests.kit.store import ROOT, photo, save

PACKAGES = ("atelier", "detectors", "pipeline", "training")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A wheel of the checkout, unpacked: the folder that holds the packages."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in ["pyproject.toml", "README.md", "LICENSE", *files_of_the_packages()]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    line = [sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", str(folder), str(source)]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(folder / "installed")
    return folder / "installed"


def files_of_the_packages():
    """Every file that somebody wrote, as paths from the checkout on."""
    found = (path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file())
    return [path.relative_to(ROOT) for path in found if path.parent.name != "__pycache__"]


def here(installed, folder, *words, **environment):
    """Run `python WORDS` in a folder, with the unpacked packages alone."""
    environment = {**os.environ, "PYTHONPATH": str(installed), **environment}
    line = [sys.executable, *words]
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True)


def test_every_file_of_the_packages_is_in_the_wheel(installed):
    assert [name for name in files_of_the_packages() if not (installed / name).is_file()] == []


def test_help_and_status_work_from_another_folder(installed, tmp_path):
    (tmp_path / "data/raw").mkdir(parents=True)
    save(tmp_path / "data/raw/0.jpg", photo(0))
    assert "COMMAND" in here(installed, tmp_path, "-m", "pipeline", "--help").stdout
    done = here(installed, tmp_path, "-m", "pipeline", "status")
    assert done.returncode == 0, done.stderr
    assert "open  1 of 1 rows to do" in done.stdout.splitlines()[0]


def test_the_project_is_the_current_folder_or_that_of_the_recipe(installed, tmp_path):
    asked = "from pipeline import options, stage; print(options.__file__, stage.store())"
    recipe = tmp_path / "elsewhere" / "luigi.cfg"
    recipe.parent.mkdir()
    recipe.write_text("[Store]\nroot = results\n")
    own = installed / "pipeline" / "options.py"
    done = here(installed, tmp_path, "-c", asked)
    assert done.stdout.split() == [str(own), str(tmp_path / "data")], done.stderr
    done = here(installed, tmp_path, "-c", asked, LUIGI_CONFIG_PATH="elsewhere/luigi.cfg")
    assert done.stdout.split() == [str(own), str(recipe.parent / "results")], done.stderr


def test_a_dataset_and_a_training_and_gc_need_no_checkout(installed, tmp_path):
    for number in range(8):
        save(tmp_path / "photos" / f"{number}.jpg", photo(number))
    tiny = {"preset": "tiny", "total_kimg": 0.008, "r1_interval": 0, "pl_weight": 0}
    more = {f"TrainStyleGAN-{name}": value for name, value in tiny.items()}
    line = command(tmp_path, "run", "TrainStyleGAN", Dataset_size=8, **more)[1:]
    done = here(installed, tmp_path, *line)
    assert done.returncode == 0, done.stderr + done.stdout
    (run,) = Path(tmp_path, "store/runs").iterdir()
    assert done.stdout.splitlines()[-1] == str(run / "grids" / "psi0.7-0000000008.png")
    line[3:4] = []  # without the task
    line[2] = "gc"
    kept = here(installed, tmp_path, *line)
    assert kept.stdout == "nothing to delete: every result is reached by a recipe\n", kept.stderr
