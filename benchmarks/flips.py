"""Damages files of a small store at random: is each damage noticed, and mended to the same bytes?

    python benchmarks/flips.py [--damages 500] [--runs 40] [--seed 0]

The store has every kind of file: lists and shards of all stages, memo, feature vectors, pictures,
records with labels, a report, a person's decisions, a checkpoint. A damage is one byte that
changes, or an end that is missing. Each is looked at alone: by `verify`, which must name the file,
and by what reads such a file in a run, which must refuse it. Then many at once are repaired, and
the store compared with what it was; others are met by plain runs. Prints a line for each that goes
unnoticed, and a table.
"""

import argparse
import io
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[1]))

from atelier import files
from atelier.arrays import CheckpointError, load_arrays, save_arrays
from pipeline import cli, tasks
from pipeline.dataset import mending, whole
from pipeline.dataset.finished import ExportError
from pipeline.rows import decisions, manifest, parquet, shards
from pipeline.rows.decisions import Decision, DecisionsError, Journal, file_in
from pipeline.rows.manifest import Item, Row
from pipeline.tasks import Dataset, Resize
from pipeline.upkeep import verify
from tests.kit.sound import made_once, sound_files
from tests.kit.store import build, fresh, without_models
from training.sources import DataError, open_source

AT_ONCE = 20  # damages that are repaired together
REFUSALS = (parquet.DamagedError, ExportError, DecisionsError, CheckpointError, DataError)
PRECIOUS = ("a decision", "a checkpoint")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--damages", type=int, default=500)
    parser.add_argument("--runs", type=int, default=40, help="damages that plain runs meet")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    chance, told = random.Random(asked.seed), Counter[str]()
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "MOST_ROWS", 2)
        without_models(patch)
        store = furnished(Path(name))
        digests = {store / row.picture: row.picture_digest for row in Resize().rows()}
        for start in range(0, asked.damages, AT_ONCE):
            known = kinds(store)
            tables = {path: path.read_bytes() for path in store.rglob("*.parquet")}
            some = [pick(known, chance) for _ in range(min(AT_ONCE, asked.damages - start))]
            for kind, path in some:
                looked_at(store, kind, path, damage_of(path, chance), digests, tables, told)
            repaired(store, [path for kind, path in some if kind not in PRECIOUS], chance, told)
        for _ in range(asked.runs):
            path = chance.choice(sorted(read_by_runs(store)))
            met(store, path, damage_of(path, chance), told)
    print("| what | times |\n|---|---|")
    for what, times in sorted(told.items()):
        print(f"| {what} | {times} |")


def furnished(folder: Path) -> Path:
    """A store with something of every kind."""
    store = folder / "store"
    journal = Journal(file_in(store))
    for number in range(5):  # of photos that are not in the source
        journal.append(Decision(f"{number:032x}", f"{number}.jpg", "refuse", (), "blurred"))
    made_once(folder, Zoom_share=0.4, ExportTFRecords_labels=labels_in(folder))
    arrays = {f"G/{number}": np.random.default_rng(number).random((8, 8)) for number in range(5)}
    save_arrays(store / "runs" / "one" / "checkpoints" / "0000000008.npz", arrays, {"seen": 8})
    return store


def labels_in(folder: Path) -> Path:
    path = folder / "labels.csv"
    names = [*(f"{number}.png" for number in range(4)), "copy.png", "scene.png"]
    lines = [f"{name},{'ab'[number % 2]}" for number, name in enumerate(names)]
    path.write_text("\n".join(["file,label", *lines]) + "\n")
    return path


def kinds(store: Path) -> dict[str, list[Path]]:
    """All files of the store, by kind."""
    places = {
        "a manifest": "*/*/*.parquet",
        "a shard": "*/*/shards/*.parquet",
        "a part": "*/*/parts/*.parquet",
        "a picture": "*/*/pictures/*/*",
        "a file of records": "records/*/*/*.tfrecords",
        "labels of records": "records/*/*/*.labels",
        "dataset.json": "records/*/*/dataset.json",
        "a list of files": "records/*/*/.checksums.json",
        "a report": "report/*/*.html",
        "a decision": "review/*",
        "a checkpoint": "runs/*/*/*",
    }
    found = {kind: sorted(store.glob(where)) for kind, where in places.items()}
    present = {path for path in store.rglob("*") if path.is_file() and not path.is_symlink()}
    unknown = present - {path for some in found.values() for path in some} - {store / "lock"}
    assert all(found.values()) and not unknown, unknown
    return found


def pick(known: dict[str, list[Path]], chance: random.Random) -> tuple[str, Path]:
    """Each kind as often as another, however many files it has."""
    kind = chance.choice(list(known))
    return kind, chance.choice(known[kind])


def damage_of(path: Path, chance: random.Random) -> bytes:
    """The file with one byte changed, four times in five, or cut off."""
    data = path.read_bytes()
    at = chance.randrange(len(data))
    if chance.random() < 0.2:
        return data[:at]
    return data[:at] + bytes([data[at] ^ chance.randrange(1, 256)]) + data[at + 1 :]


def looked_at(
    store: Path,
    kind: str,
    path: Path,
    damaged: bytes,
    digests: dict[Path, bytes | None],
    tables: dict[Path, bytes],
    told: Counter[str],
) -> None:
    """Damage one file, ask `verify` and who reads it, and bring it back."""
    data = path.read_bytes()
    path.write_bytes(damaged)
    cut = " cut off" if len(damaged) < len(data) else ""
    told[f"{kind}{cut}"] += 1
    code, said = quietly(lambda: verify.verify(store, False, int))
    if code != 1 or f"{path}: " not in said:
        told[f"UNNOTICED by verify: {kind}{cut}"] += 1
        print(f"unnoticed by verify: {path}, {differing(data, damaged)}", flush=True)
    if kind in READ and not refused(lambda: READ[kind](path, digests)):
        told[f"UNNOTICED by who reads it: {kind}{cut}"] += 1
        print(f"unnoticed by who reads it: {path}, {differing(data, damaged)}", flush=True)
    path.write_bytes(data)
    path.with_name(f"{path.name}{parquet.ASIDE}").unlink(missing_ok=True)
    for known, content in tables.items():  # those that went with a damaged one
        if not known.exists():
            known.write_bytes(content)
    shards.forget_cached()


def differing(data: bytes, damaged: bytes) -> str:
    if len(damaged) < len(data):
        return f"{len(damaged)} bytes of {len(data)}"
    at = next(at for at in range(len(data)) if data[at] != damaged[at])
    return f"byte {at} of {len(data)}: {data[at]:#x} is {damaged[at]:#x}"


def refused(read: Callable[[], object]) -> bool:
    """Whether reading raises one sentence, or says that something is left out."""
    try:
        _, said = quietly(read)
    except REFUSALS:
        return True
    return "left out" in said


def quietly(act: Callable[[], object]) -> tuple[object, str]:
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        found = act()
    return found, out.getvalue()


def read_rows(path: Path, _: object) -> None:
    if path.parent.name != parquet.PARTS:
        parquet.read_header(path)
    parquet.read_table(path)


def read_picture(path: Path, digests: dict[Path, bytes | None]) -> None:
    row = Row("a", picture="a", picture_digest=digests[path])
    mending.read_own(Item("a", row, path))


def read_dataset(path: Path, _: object) -> None:
    """As the trainer does: all of the full size, and its labels; the smaller sizes one by one."""
    found = open_source(path if path.suffix == ".tfrecords" else path.parent)
    for number in range(len(found)):
        found.read(number)


def read_list(path: Path, _: object) -> None:
    """As every run does that asks whether the export is there."""
    if not whole.is_whole(path.parent):
        raise ExportError("it is due again")


def read_decisions(path: Path, _: object) -> None:
    decisions.read_decisions.cache_clear()
    decisions.load_decisions(path)


READ: dict[str, Callable[[Path, dict[Path, bytes | None]], object]] = {
    "a manifest": read_rows,
    "a shard": read_rows,
    "a part": read_rows,
    "a picture": read_picture,
    "a file of records": read_dataset,
    "labels of records": read_dataset,
    "dataset.json": read_dataset,
    "a list of files": read_list,
    "a decision": read_decisions,
    "a checkpoint": lambda path, _: load_arrays(path),
}


def repaired(store: Path, paths: list[Path], chance: random.Random, told: Counter[str]) -> None:
    """Damage all of these at once and repair them: the store is what it was."""
    before = sound_files(store)
    for path in set(paths):
        path.write_bytes(damage_of(path, chance))
    manifest.facts.cache_clear()
    fresh()
    build = lambda: cli.build_task(Dataset())  # noqa: E731
    code, said = quietly(lambda: verify.verify(store, True, build))
    same = sound_files(store) == before
    told["damages repaired to the same bytes" if same else "damages NOT repaired"] += len(paths)
    if not same or code:
        odd = [name for name, data in before.items() if sound_files(store).get(name) != data]
        raise SystemExit(f"repair ended with {code}: {odd[:5]}\n{said[-3000:]}")
    for path in [*store.rglob(f"*{parquet.ASIDE}")]:  # a file, or a whole export
        files.remove(path)


def read_by_runs(store: Path) -> set[Path]:
    """The files that a run reads again once all that was put together from them is forgotten."""
    fresh()
    listed = {shard.file for shard in shards.listed_shards(tasks.Ingest().path)}
    made = {path for where in ("parts/*", "pictures/*/*") for path in store.glob(f"*/*/{where}")}
    return listed | {path for path in made if path.relative_to(store).parts[0] != "ingest"}


def met(store: Path, path: Path, damaged: bytes, told: Counter[str]) -> None:
    """Damage one file, forget what came of all, and run until that ends well: three times at most.

    What is then in the store, records above all, is what was.
    """
    before = sound_files(store)
    path.write_bytes(damaged)
    for stage in tasks.STAGES[1:]:
        for folder in (store / stage.__name__.lower()).glob("*"):
            shards.forget_made(folder)
    shutil.rmtree(store / "records")
    ended, number = False, 0
    while not ended and number < 3:
        fresh()
        ended, number = bool(quietly(lambda: build(Dataset()))[0]), number + 1
    odd = [name for name, data in before.items() if sound_files(store).get(name) != data]
    if odd or not ended:
        raise SystemExit(f"{path}, {len(damaged)} bytes: {number} runs, and {odd[:5]}")
    told[f"met by a run: after {number} runs the store is as it was"] += 1
    for aside in store.rglob(f"*{parquet.ASIDE}"):
        aside.unlink()


if __name__ == "__main__":
    main()
