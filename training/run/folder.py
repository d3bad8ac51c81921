"""What a run is: its key, its folder, its config.json with every later change."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from operator import itemgetter
from pathlib import Path
from typing import Any

from atelier.files import has, json_of
from training.config import BEFORE, NAMES, ArchitectureConfig, Config, ConfigError
from training.networks.architecture import saved_pair

# Where these differ it is another run; everything else may change between two commands.
FIXED = (*(option.name for option in fields(ArchitectureConfig)), "labels", "seed", "begun_from")
WAY_OUT = "restore it, or choose another out"
OF_LABELS = ("classes", "labels_digest")  # of what a run remembers of its dataset
NOT_SAVED = ("out", "device", "devices", "threads")  # of the machine, not of the run


def key(config: Config, dataset: Mapping[str, Any]) -> str:
    """The digest of name, dataset and all options that are fixed: `FIXED`, and the config's own."""
    options = config.options()
    fixed = {name: options[name] for name in (*FIXED, *config.FIXED, "name")}
    fixed = {n: value for n, value in fixed.items() if n not in BEFORE or value != BEFORE[n]}
    text = json.dumps([fixed, dict(dataset)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def folder(config: Config, dataset: Mapping[str, Any]) -> Path:
    """Where the run lies: `out` itself, or `out/<name>-<key>` for a run with a name."""
    if not config.run.out:
        raise ConfigError("out is empty: say where the run goes, --out FOLDER")
    out = Path(config.run.out)
    if out.is_file():
        raise ConfigError(f"out = {out} is a file: name a folder, it need not exist")
    return out / f"{config.run.name}-{key(config, dataset)}" if config.run.name else out


def saved_run(run: Path) -> dict[str, Any] | None:
    """config.json of a run, or None where there is none yet; raises ConfigError."""
    path = run / "config.json"
    if not path.exists():
        return None
    try:
        known: dict[str, Any] = json_of(path.read_bytes())
    except ValueError:
        raise ConfigError(f"{path} is no JSON: {WAY_OUT}") from None
    return known


def runs_in(out: Path) -> list[Path]:
    """The folders of runs: this one, and those of runs with a name in it."""
    try:
        return sorted(
            path.parent for path in [*out.glob("config.json"), *out.glob("*/config.json")]
        )
    except (OSError, ValueError):  # no such folder can be
        return []


def all_begun(runs: Iterable[Path], model: str) -> Iterator[dict[str, Any]]:
    """config.json of each of the runs that was begun from this model, or went on with it named."""
    for run in runs if model else ():
        with suppress(OSError, ConfigError):  # one that is no whole run is none of these
            if known := whole_run(run):
                said = [*known["config"].values(), *(each["options"] for each in known["changes"])]
                paths = [each["resume_from"] for each in said if has(each, "resume_from", str)]
                if os.path.abspath(model) in map(os.path.abspath, filter(None, paths)):
                    yield known


def on_dataset(runs: Iterable[Path], dataset: Mapping[str, Any]) -> Iterator[Path]:
    """Those of the runs that learn from this dataset."""
    for run in runs:
        with suppress(OSError, ConfigError):
            if (known := whole_run(run)) and not datasets_apart(known, dataset):
                yield run


def dataset_of(known: Mapping[str, Any]) -> dict[str, Any]:
    """What tells the dataset of a run from others, wherever it lies."""
    return {name: value for name, value in known["dataset"].items() if name != "path"}


def whole_run(run: Path) -> dict[str, Any] | None:
    """The same for whoever trains or measures: raises ConfigError unless it says all of a run.

    A checkpoint repeats the network: one that is none would spoil what is saved from then on.
    """
    if not (run / "config.json").exists():
        return None
    known = saved_run(run)
    try:
        check_whole(known or {})
    except (LookupError, TypeError, ValueError, AttributeError):
        raise incomplete(run) from None
    return known


def incomplete(run: Path) -> ConfigError:
    """What is said of a run whose config.json lacks something."""
    return ConfigError(f"{run / 'config.json'} does not say all of a run: {WAY_OUT}")


def check_whole(known: Mapping[str, Any]) -> None:
    """Raise what Python raises where what is read of a run is missing, or of another kind."""
    saved_pair(known["network"])
    dataset_in_words(known["dataset"])
    Path(known["dataset"]["path"])
    options = current(known)
    itemgetter(*NAMES)(options)
    times = [each["kimg"] for each in (*known["changes"], *known["rollbacks"])]
    if not all(isinstance(n, int | float) for n in (options["total_kimg"], *times)):
        raise TypeError(times)
    if not isinstance(known["key"], str):
        raise TypeError(known["key"])


def begin_run(
    config: Config, dataset: Mapping[str, Any], network: Mapping[str, Any]
) -> dict[str, Any]:
    """What config.json says of a new run."""
    return {
        "key": key(config, dataset),
        "config": asdict(config),
        "network": dict(network),
        "dataset": {"path": config.data.data, **dataset},
        "changes": [],
        "rollbacks": [],
    }


def check_same(
    run: Path, known: Mapping[str, Any], config: Config, dataset: Mapping[str, Any]
) -> None:
    """Raise ConfigError where the command is for another run than the one in this folder."""
    if both := datasets_apart(known, dataset):
        raise ConfigError(
            f"{run} was trained on another dataset ({both[0]}; {config.data.data} has {both[1]}):"
            f" choose another --out, and go on from this run with --resume-from {run}"
        )
    before, now = current(known), config.options()
    for name in (*FIXED, *config.FIXED):
        if name not in before:
            raise ConfigError(
                f"{run} is a run of another command, which knows no {name}: choose another --out"
            )
        if before[name] != now[name] and name in config.DIFFER:
            said = config.DIFFER[name].format(run=run, before=before[name], **now)
            raise ConfigError(f"{said}; or choose another --out")
        if before[name] != now[name]:
            raise ConfigError(
                f"{name} = {now[name]}, but {run} has {name} = {before[name]}: give that, or"
                " choose another --out"
            )


def datasets_apart(known: Mapping[str, Any], dataset: Mapping[str, Any]) -> tuple[str, ...]:
    """The run's dataset and this one, in words that tell them apart; nothing where they are one.

    To a run without labels it is one whatever its labels are, unless a classifier learns them.
    """
    own, options = dataset_of(known), current(known)
    seen = options["labels"] or options.get("standin") == "classifier"
    left_out = () if seen else OF_LABELS
    names = (own.keys() | dataset.keys()) - set(left_out)
    if all(own.get(name) == dataset.get(name) for name in names):
        return ()
    both = dataset_in_words(own), dataset_in_words(dataset)
    return both if both[0] != both[1] else (both[0], "the same images with other labels")


def dataset_in_words(dataset: Mapping[str, Any]) -> str:
    height, width, channels = dataset["shape"]
    return f"{dataset['images']} images of {width} x {height} x {channels}, {dataset['digest']}"


def current(known: Mapping[str, Any]) -> dict[str, Any]:
    """Every option of a run as the last command left it."""
    parts = known["config"].values()
    options = BEFORE | {name: value for part in parts for name, value in part.items()}
    for change in known["changes"]:
        options |= change["options"]
    if isinstance(options["xla"], bool):  # what that option was at first, false by default
        options["xla"] = "true" if options["xla"] else "auto"
    return options


def changed(known: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """The options that this command changes."""
    before = current(known)
    now = config.options()
    return {n: now[n] for n in now if n not in NOT_SAVED and before.get(n) != now[n]}
