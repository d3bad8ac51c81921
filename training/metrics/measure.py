"""Metrics of a run: fakes of its averaged generator against its real images.

With pytorch-fid's weights they are named as NVlabs names them: fid50k_full, kid50k_full. Known:
that network is a port of the one of 2015-12-05 that FID is defined on; features and resizing equal
pytorch-fid's own code in float32; the covariance is divided by N, as ada-pytorch has it. Not proven
here: that the figures equal published ones, because those weights could not be had for a test.
Precision and recall come from the same features, not from VGG16's: they compare with no published
ones. fid2k and the like take as many real images as fakes; only _full takes all.

Any other network gives another number, so its figures have another name: frechet2k(classifier).
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from atelier import files
from atelier.errors import words_of
from training import sources
from training.batches import READERS
from training.config import ConfigError, metric_forms
from training.features.client import AT_ONCE, Extractor, FeaturesError, Lessons, Net, Pixels
from training.metrics import figures as measured
from training.metrics import scores
from training.metrics.fakes import Fakes
from training.run.progress import bar

Say = Callable[[str], None]
Row = dict[str, Any]
What = Literal["fid", "kid", "pr"]

SEED = 0  # of the choice of real images, and of KID's subsets
OTHERWISE = "take --standin random-inception, or --inception FILE"
PUPILS = 3  # one to be tested with, and the two that BatchNorm needs
LEARN_FROM = 20_000  # real images that a classifier learns from, at most


@dataclass(frozen=True)
class Metric:
    """What is measured: from how many fakes, against as many real images or all of them."""

    what: What
    fakes: int
    full: bool

    @property
    def size(self) -> str:
        return f"{self.fakes // 1000}k{'_full' * self.full}"


class Stopped(Exception):
    """Somebody asked for an end before the measuring was done."""


def parse_metrics(text: str) -> list[Metric]:
    """fid50k_full, kid2k -> metrics; raises ConfigError."""
    try:
        forms = metric_forms(text)
    except ValueError as error:
        raise ConfigError(f"metrics = {text!r}: {error}") from None
    kinds: dict[str, What] = {"fid": "fid", "frechet": "fid", "kid": "kid", "pr": "pr"}
    found = [Metric(kinds[form[1]], 1000 * int(form[2]), bool(form[3])) for form in forms]
    return [*dict.fromkeys(found)]


def metric_name(word: str, label: str) -> str:
    """The name of a figure, with what it was made by; only the real Inception gives a FID."""
    return f"{word.replace('fid', 'frechet')}({label})" if label else word


def ready(run: Path, source: sources.Source, wanted: str, net: Net, say: Say = print) -> None:
    """Before the first step: raise ConfigError or FeaturesError where measuring cannot work."""
    if parse_metrics(wanted):
        open_extractor(run, source, net, say).close()


def look(
    run: Path,
    seen: int,
    fakes: Fakes,
    source: sources.Source,
    wanted: str,
    net: Net,
    say: Say = print,
    stopped: Callable[[], bool] = lambda: False,
) -> list[Row]:
    """Measure at a snapshot of training; what fails is said, and training goes on."""
    if not (parsed := parse_metrics(wanted)):
        return []
    try:
        with open_extractor(run, source, net, say) as extractor:
            if not (parsed := missing(run, seen, parsed, extractor.label, fakes.whose)):
                return []
            rows = measure(run, seen, fakes, source, parsed, extractor, say, stopped)
    except (FeaturesError, scores.ScoreError, OSError) as error:
        say(f"no metrics at {seen / 1000:g} kimg: {words_of(error)}")
        return []
    say(measured.figures_table(rows) if rows else "the metrics were left out: asked to stop")
    return rows


def missing(
    run: Path, seen: int, wanted: Sequence[Metric], label: str, whose: str = ""
) -> list[Metric]:
    """Those of the metrics that were not measured at this moment."""
    known = {row["metric"] for row in measured.read_figures(run) if row["seen"] == seen}
    last = {"pr": "_recall"}  # of two figures
    names = {m: metric_name(f"{m.what}{m.size}{last.get(m.what, '')}", label) for m in wanted}
    return [metric for metric, name in names.items() if whose + name not in known]


def open_extractor(run: Path, source: sources.Source, net: Net, say: Say = print) -> Extractor:
    """The features process of a run; a classifier is taught first, once per dataset."""
    if net.kind != "classifier":
        return Extractor(net)
    place = folder(run) / f"classifier-{digest_of(sources.dataset_identity(source))}.pt"
    net = replace(net, weights=str(place))
    if place.exists():
        return Extractor(net)
    say("teaching a classifier with the dataset's labels, once")
    extractor = Extractor(net, lessons(source))
    taught = extractor.taught or {}
    say(
        f"classifier: {taught['held_out_accuracy']:.1%} right on {taught['held_out']} held-out"
        f" images, after {taught['seconds']} s"
    )
    return extractor


def lessons(source: sources.Source) -> Lessons:
    """A share of the dataset with its classes; raises ConfigError where nothing can learn them."""
    labels = source.labels
    one_hot = labels.shape[1] > 1 and bool(((labels == 0) | (labels == 1)).all())
    if not one_hot or not (labels.sum(axis=1) == 1).all():
        what = "other labels than one class a picture" if labels.size else "no class labels"
        raise ConfigError(f"standin = classifier, but the dataset has {what}: {OTHERWISE}")
    if len(source) < PUPILS:
        raise ConfigError(
            f"standin = classifier learns from {PUPILS} images at least, and the dataset has"
            f" {len(source)}: {OTHERWISE}"
        )
    numbers = chosen(len(source), LEARN_FROM)
    classes = labels.argmax(axis=1)
    parts = np.array_split(numbers, -(-len(numbers) // AT_ONCE))
    pairs = zip(parts, read_images(source, parts), strict=True)
    taken = ((batch, classes[part].tolist()) for part, batch in pairs)
    return Lessons(source.shape[:2], labels.shape[1], taken)


def measure(
    run: Path,
    seen: int,
    fakes: Fakes,
    source: sources.Source,
    wanted: Sequence[Metric],
    extractor: Extractor,
    say: Say = print,
    stopped: Callable[[], bool] = lambda: False,
) -> list[Row]:
    """All wanted figures of one moment of a run, written down; none where it was stopped."""
    began = time.perf_counter()
    files.sweep(folder(run))
    with suppress(Stopped), files.passing(folder(run) / "fakes.npy") as scratch:
        # The features of all fakes: the smaller metrics take the first of them.
        count, asked = max(metric.fakes for metric in wanted), []

        def made() -> Iterator[list[Pixels]]:
            for pictures, classes in fakes.batches(count):
                asked.extend(classes)
                yield pictures
                if stopped():
                    raise Stopped

        rows, classes = gathered(scratch, extractor, made(), count)
        spent = time.perf_counter() - began

        # The figures.
        found: list[Row] = []
        for metric in wanted:
            began = time.perf_counter()
            reals = reals_of(run, source, metric, extractor, say, stopped)
            counts = {"fakes": metric.fakes, "reals": len(reals)}
            figures = scored(metric, reals, rows[: metric.fakes])
            seconds = spent + time.perf_counter() - began
            for name, value in figures.items():
                named = fakes.whose + metric_name(name, extractor.label)
                found.append(row(named, value, seconds, **counts))
        if fakes.conditional and len(classes):
            right = float(np.mean(np.array(asked) == np.array(classes)))
            named = f"{fakes.whose}label_accuracy(classifier)"
            found.append(row(named, right, spent, fakes=count))
        return measured.write_figures(run, [{"seen": seen, **entry} for entry in found])
    return []


def folder(run: Path) -> Path:
    """Where the features of real images lie, and what finds them."""
    place = run / "metrics"
    place.mkdir(parents=True, exist_ok=True)
    return place


def scored(metric: Metric, reals: scores.Rows, fakes: scores.Rows) -> dict[str, float]:
    """The figures of one metric."""
    if metric.what == "kid":
        return {f"kid{metric.size}": scores.kid(reals, fakes, SEED)}
    if metric.what == "pr":
        precision, recall = scores.precision_recall(reals, fakes)
        return {f"pr{metric.size}_precision": precision, f"pr{metric.size}_recall": recall}
    distance = scores.frechet(scores.moments(reals), scores.moments(fakes))
    return {f"fid{metric.size}": distance}


def row(name: str, value: float, seconds: float, **counts: int) -> Row:
    """What is written of a figure; `better` says which way it should go."""
    better = "higher" if name.split()[-1].startswith(("pr", "label_accuracy")) else "lower"
    figures = {"metric": name, "value": value, "better": better}
    return {**figures, **counts, "seconds": round(seconds, 2), "time": time.time()}


def reals_of(
    run: Path,
    source: sources.Source,
    metric: Metric,
    extractor: Extractor,
    say: Say,
    stopped: Callable[[], bool],
) -> NDArray[np.float32]:
    """The features of the real images, never mirrored; from a file after the first time."""
    count = len(source) if metric.full else min(metric.fakes, len(source))
    named_by = [dict(sources.dataset_identity(source)), count, extractor.fingerprint]
    path = folder(run) / f"reals-{digest_of(named_by)}.npy"
    with suppress(OSError, ValueError, EOFError):
        known: NDArray[np.float32] = np.load(path, mmap_mode="r")
        if known.shape == (count, extractor.dims):
            return known
    say(f"features of {count} real images, once")
    numbers = chosen(len(source), count)

    def batches() -> Iterator[list[Pixels]]:
        for batch in read_images(source, np.array_split(numbers, -(-count // AT_ONCE))):
            yield batch
            if stopped():
                raise Stopped

    with files.replacing(path) as partial:
        gathered(partial, extractor, batches(), count)
    return np.asanyarray(np.load(path, mmap_mode="r"))


def chosen(images: int, count: int) -> NDArray[np.int64]:
    """`count` of the images, in order, drawn by the seed; all of them where there are no more."""
    drawn = np.random.default_rng([SEED, 5]).permutation(images)[:count]
    return np.sort(drawn)


def read_images(
    source: sources.Source, parts: Iterable[NDArray[np.int64]]
) -> Iterator[list[Pixels]]:
    """The images of each part, read by several threads."""
    with ThreadPoolExecutor(READERS, "reader") as pool:
        for part in parts:
            yield list(pool.map(source.read, map(int, part)))


def gathered(
    path: Path, extractor: Extractor, batches: Iterable[Sequence[Pixels]], count: int
) -> tuple[NDArray[np.float32], list[int]]:
    """The features of `count` pictures in a file, so that memory does not grow, and the classes."""
    rows = np.lib.format.open_memmap(path, "w+", np.float32, (count, extractor.dims))
    at, classes = 0, list[int]()
    with bar(count, "pictures") as shown:
        for answer in extractor.stream(batches):
            rows[at : at + len(answer.features)] = answer.features
            at += len(answer.features)
            classes += answer.classes
            shown.update(len(answer.features))
    if at != count:
        raise FeaturesError(f"{at} pictures came where {count} were expected")
    rows.flush()
    return rows, classes


def digest_of(value: Any) -> str:
    """Ten hexadecimal digits of anything JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:10]
