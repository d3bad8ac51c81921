"""The options of a training run: declared once, checked when made, saved before the first step."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from atelier import files
from atelier.names import in_one_form
from atelier.options import MOST_THREADS, OptionError, Section, option

ROOM = 1.5  # stored pictures have up to this many times the network's side, for zooming in
COARSEST = 32  # pixels per cell of the backbone's last level
# The widths of keras.applications that have ImageNet weights.
IMAGENET_ALPHAS = {
    "mobilenetv2": (0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
    "mobilenetv3small": (0.75, 1.0),
    "mobilenetv3large": (0.75, 1.0),
}
METRICS = "metrics.json"  # written last
RUN = "config.json"  # written first
DETECTOR = "detector"  # the folder that is exported
SAVED = {"config": dict, "classes": list, "labels_digest": str}  # what it says of a run, at least
AGAIN = "put back the file that was there, or train into another --out"
NO_FILES = ("imagenet", "none")  # of weights
# Options that may differ when a run goes on: what labels say counts, not where they lie.
NOT_THE_RESULT = ("out", "threads", "pictures", "labels", "held_labels")


class LearningError(OptionError):
    """Training cannot be done so; the message names the thing, its value and the way out."""


@dataclass(frozen=True)
class LearningConfig(Section):
    """Training of a detector of one's own crop."""

    refusal = LearningError

    labels: str = option(
        "", "CSV table, COCO's .json, folder of Pascal-VOC XML, or TFRecords (*.record)", path=True
    )
    pictures: str = option("", "folder of the pictures; TFRecords hold their own", path=True)
    out: str = option("", "folder of the run", path=True)
    classes: str = option("", "names of the classes, with commas; empty: those of the labels")
    weights: str = option(
        "imagenet",
        "where the backbone begins: imagenet (downloaded by Keras), none (by chance), or a FILE:"
        " Keras' weights without the top (*.h5), or model.keras of an earlier run",
        path=True,
    )
    backbone: Literal["mobilenetv2", "mobilenetv3small", "mobilenetv3large"] = option(
        "mobilenetv2", "network of keras.applications"
    )
    alpha: float = option(0.35, "width of the backbone, as a factor", low=0.1, high=2)
    size: int = option(224, "side of the square that the network sees, in pixels", low=64, high=640)
    stride: Literal["8", "16"] = option("16", "pixels per cell of the map of centres")
    epochs: int = option(150, "passes over the training pictures", low=1)
    batch: int = option(16, "pictures per step", low=1)
    rate: float = option(0.002, "highest learning rate", low=1e-7, high=1)
    weight_decay: float = option(0.01, "weight decay of AdamW", low=0, high=1)
    ema: float = option(0.995, "share of the averaged weights that stays, per step", low=0, high=1)
    flip: bool = option(True, "learn from mirror images, too")
    zoom: float = option(0.5, "pictures are scaled by up to 1 + zoom, both ways", low=0, high=3)
    colour: float = option(0.4, "change of brightness, contrast and colours", low=0, high=1)
    mosaic: float = option(0.3, "share of samples put together from four pictures", low=0, high=1)
    erase: float = option(0.2, "share of samples with a part wiped out", low=0, high=1)
    mirror: bool = option(
        False, "the finished detector looks at the mirror image, too: twice the time, surer boxes"
    )
    validation: float = option(0.2, "share of pictures that are held out", low=0.01, high=0.9)
    held_labels: str = option(
        "", "labels of the pictures to hold out; empty: drawn by the seed", path=True
    )
    check_every: int = option(5, "epochs from one measurement and checkpoint to the next", low=1)
    patience: int = option(0, "measurements without a better mAP, then stop; 0: never", low=0)
    seed: int = option(0, "of the split, the weights and all chance", low=0, high=2**32 - 1)
    threads: int = option(0, "threads of a CPU; 0: all cores", low=0, high=MOST_THREADS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size % COARSEST:
            near = round(self.size / COARSEST) * COARSEST
            raise LearningError(f"size = {self.size}: give a multiple of {COARSEST}, as {near}")
        if self.weights == "imagenet" and self.alpha not in IMAGENET_ALPHAS[self.backbone]:
            known = ", ".join(map(str, IMAGENET_ALPHAS[self.backbone]))
            raise LearningError(
                f"alpha = {self.alpha}: {self.backbone} has ImageNet weights for {known};"
                " give one of them, or weights = none"
            )

    @property
    def cells(self) -> int:
        """Cells per side of the map of centres."""
        return self.size // int(self.stride)

    @property
    def class_names(self) -> list[str]:
        """In the order of their numbers; raises LearningError where one is named twice."""
        words = [in_one_form(name.strip()) for name in self.classes.split(",") if name.strip()]
        if twice := [name for name in words if words.count(name) > 1]:
            raise LearningError(
                f"classes = {self.classes}: {twice[0]} is named twice: name it once"
            )
        return words


def stored_side(size: int) -> int:
    """Pixels of the longer side of pictures as they are learnt from, for a network of this side."""
    return round(ROOM * size)


def key(config: LearningConfig) -> str:
    """The digest of what can change the result; pictures are taken not to change."""
    told = {name: value for name, value in asdict(config).items() if name not in NOT_THE_RESULT}
    told["weights"] = weights_digest(config) or config.weights
    known = json.dumps([told, labels_digest(config)], sort_keys=True)
    return hashlib.sha256(known.encode()).hexdigest()[:10]


def labels_digest(config: LearningConfig) -> str:
    """Of the tables, or of all XML files of a folder; empty where they are gone."""
    told = hashlib.sha256()
    for labels in filter(None, (config.labels, config.held_labels)):
        path = Path(labels)
        if not (path.is_file() or path.is_dir()):
            return ""
        # The name of an XML file says which photo it is about; that of a table says nothing.
        inner = sorted(path.rglob("*.xml")) if path.is_dir() else []
        files = {file.relative_to(path).as_posix(): file for file in inner} or {"": path}
        for name, file in files.items():
            data = file.read_bytes() if file.is_file() else b""
            told.update(os.fsencode(f"{name} {len(data)}\n") + data)
    return told.hexdigest()[:20]


def weights_digest(config: LearningConfig) -> str:
    """Of the file of weights; `imagenet` and `none` as they are; empty where the file is gone."""
    if config.weights in NO_FILES:
        return config.weights
    path = Path(config.weights)
    return files.digest_file(path)[:20] if path.is_file() else ""


def is_finished(out: Path) -> bool:
    """Whether the run in this folder has its detector and its figures."""
    return (out / METRICS).is_file() and (out / DETECTOR).is_dir()


def differing(config: LearningConfig, saved: Mapping[str, Any]) -> Iterator[str]:
    """The options, as `name = value (there value)`, in which a run was started otherwise.

    `saved` is what its config.json holds. A file of weights may lie elsewhere since then.
    """
    then, own, known = saved["config"], weights_digest(config), saved.get("weights_digest")
    for name, value in asdict(config).items():
        if name == "weights" and own and known:
            if own != known:
                yield f"weights = {value} (there what {then[name]} held)"
        elif name not in NOT_THE_RESULT and then.get(name) != value:
            yield f"{name} = {value} (there {then.get(name)})"


def saved_config(out: Path) -> dict[str, Any] | None:
    """What config.json of a run holds; None where there is no run. Raises LearningError."""
    try:
        found = files.json_of((out / RUN).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise LearningError(f"{out / RUN} is no JSON ({error}): {AGAIN}") from None
    if not all(files.has(found, name, kind) for name, kind in SAVED.items()):
        raise LearningError(f"{out / RUN} does not say all of a run; {AGAIN}")
    return dict(found)


def config_of(out: Path) -> tuple[LearningConfig, list[str]]:
    """The options and the classes of a run that exists."""
    known = saved_config(out)
    if known is None:
        raise LearningError(f"{out}: there is no run in it; name the --out of a training")
    if odd := known["config"].keys() - {f.name for f in fields(LearningConfig)}:
        raise LearningError(f"{out / RUN}: there is no option {min(odd)}; {AGAIN}")
    return LearningConfig(**known["config"]), list(map(str, known["classes"]))


def surest_of(out: Path) -> float:
    """The score at which a finished run's detector was best. Raises LearningError."""
    try:
        return float(files.json_of((out / METRICS).read_bytes())["measured"]["detector"]["surest"])
    except FileNotFoundError:
        raise LearningError(f"{out} is not finished: run its training again first") from None
    except (ValueError, TypeError, KeyError):
        raise LearningError(
            f"{out / METRICS} does not say what was measured: delete it, and run its training again"
        ) from None


def check_out(folder: Path, out: Path, pictures: str = "") -> None:
    """Raise LearningError where no files can be written to `folder`, which --out needs, or where
    they would lie among the pictures that are read.
    """
    if not files.is_writable(folder):
        raise LearningError(f"--out {out}: that is no folder one can write to: choose another")
    if not files.is_text(folder.resolve()):
        raise LearningError(f"--out {out}: this name is not UTF-8: choose another")
    if pictures and out.resolve() == Path(pictures).resolve():
        raise LearningError(f"--out {out} is the folder of the pictures: name another one")
