"""TrainStyleGAN: `python -m training` on the newest dataset, in a process of its own."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import Field, dataclass, fields, replace
from pathlib import Path

from atelier import files
from atelier.options import option
from pipeline.dataset.export import ExportTFRecordsConfig, shape_of
from pipeline.engine import lock
from pipeline.options import Settings, SettingsError, located, with_options
from pipeline.sections import DatasetConfig, size_in_words
from pipeline.train import child
from training import presets
from training.config import SECTIONS, Config, ConfigError
from training.exchange import tuning
from training.exchange.described import ModelFile
from training.explore import asked
from training.networks.architecture import Shape
from training.run import folder
from training.run.checkpoints import images_seen

RUNS = "runs"  # the folder in the store
DECIDED_HERE = ("data", "out", "begun_from")
ONCE = "config-f"  # the preset of 0.1, where none was named
COLLAPSED = 3  # an exit code of `python -m training train`
STATUS = re.compile(r"([\d.]+) of ([\d.e+]+) kimg ")


@dataclass(frozen=True)
class TrainerConfig(Settings):
    """Training: the options of `python -m training train`; an empty one is as the preset says."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not files.is_name(self.options()["name"]):
            self.refuse("name", files.NAMING)
        self.check_apart()

    def check_apart(self) -> None:
        """Raise SettingsError for options that cannot be, whatever they are used on."""
        given = {name: value for name, value in self.given().items() if name != "resume_from"}
        try:
            presets.resolve(given.pop("preset", presets.DEFAULT), 64, 64, given)
        except ConfigError as error:
            raise SettingsError(f"[TrainStyleGAN] {error}") from None

    def options(self) -> dict[str, str]:
        """Every option, an empty one too."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def given(self) -> dict[str, str]:
        """What is given, paths as the trainer finds them."""
        paths = {f.name for f in fields(self) if f.metadata["path"]}
        return {
            name: str(located(value)) if name in paths else value
            for name, value in self.options().items()
            if value
        }

    def resolved(self, width: int, height: int) -> Config:
        """All of training's options, for pictures of this size; raises SettingsError.

        Where a model is begun from, its networks are taken over: it is looked at for that.
        """
        return self.resolved_beside([], width, height)

    def resolved_beside(self, runs: Sequence[Path], width: int, height: int) -> Config:
        """The same where the model may be gone: one of `runs` keeps what it took over from it."""
        given = self.given()
        try:
            preset = given.pop("preset", presets.DEFAULT)
            return tuning.resolve_begun(preset, height, width, given, runs)
        except ConfigError as error:
            raise SettingsError(f"[TrainStyleGAN] {error}") from None

    def words(self) -> list[str]:
        """What is given, for the trainer's command line."""
        return [f"--{name}={value}" for name, value in self.given().items()]


def declared() -> Iterator[tuple[str, type[str], Field[str]]]:
    """Training's own options with its own sentences, as (name, type, field)."""
    known = f"{', '.join(presets.PRESETS)}: what holds where an option of this section is empty"
    yield "preset", str, option("", f"{known}; empty: {presets.DEFAULT}, or {ONCE} of a run of 0.1")
    for f in (f for section in SECTIONS.values() for f in fields(section)):
        if f.name not in DECIDED_HERE:
            default = "stylegan2" if f.name == "name" else ""
            yield f.name, str, option(default, f.metadata["help"], path=f.metadata["path"])


TrainStyleGANConfig = with_options(TrainerConfig, "TrainStyleGANConfig", declared())


def check_begun(
    config: TrainerConfig, dataset: DatasetConfig, export: ExportTFRecordsConfig, store: Path
) -> None:
    """Raise SettingsError where the dataset that would be made is not for the model to begin from.

    A run goes on without that model, where it is gone.
    """
    given = config.given()
    model = tuning.begun_from(given)
    if model is None:
        if path := given.get("resume_from"):
            check_gone(path, dataset, store)
        return
    check_model_fits(model, dataset, export)
    _, height, width = shape_of(dataset)
    config.resolved(width, height)


def check_model_fits(
    model: ModelFile, dataset: DatasetConfig, export: ExportTFRecordsConfig
) -> None:
    """Raise SettingsError where the dataset that would be made has not the model's shape."""
    form, (channels, height, width) = model.config, shape_of(dataset)
    if (form.width, form.height) != (width, height):
        drawn = size_in_words(form.width, form.height)
        raise SettingsError(
            f"[Dataset] size = {size_in_words(width, height)}, but {model.path} draws {drawn}:"
            f" set size = {drawn}, or choose another model"
        )
    if form.channels != channels:
        raise SettingsError(
            f"[Dataset] channels = {dataset.channels} makes {channels}, but {model.path} draws"
            f" {form.channels}: set channels, or choose another model"
        )
    if form.labels and export.labels == "none":
        raise SettingsError(
            f"[ExportTFRecords] labels = none, but {model.path} has {form.labels} classes: say"
            " where the photos' are, or choose another model"
        )


def check_size(dataset: DatasetConfig) -> None:
    """Raise SettingsError for pictures of a size that no network draws."""
    channels, height, width = shape_of(dataset)
    try:
        Shape(height, width, channels)
    except ValueError as error:
        raise SettingsError(f"[Dataset] size = {dataset.size}: {error}") from None


def check_gone(model: str, dataset: DatasetConfig, store: Path) -> None:
    """Raise SettingsError where a model is gone, and no run goes on with pictures like these."""
    begun = list(folder.all_begun(known_runs(store), model))
    if not begun:
        raise SettingsError(
            f"[TrainStyleGAN] resume_from = {model}: there is no such run or checkpoint"
        )
    channels, height, width = shape_of(dataset)
    shapes = [known["dataset"]["shape"] for known in begun]
    if [height, width, channels] not in shapes:
        tall, wide, deep = shapes[0]
        raise SettingsError(
            f"[Dataset] size = {dataset.size} and channels = {dataset.channels}, but the run begun"
            f" from {model}, which is gone, learns {wide} x {tall} x {deep}: set them so, or say"
            " where the model is"
        )


def check_inception(config: TrainerConfig) -> None:
    """Raise SettingsError where the file of Inception's weights is named and is not there."""
    try:
        asked.check_inception(config.given().get("inception", ""), config.called("inception"))
    except ConfigError as error:
        raise SettingsError(str(error)) from None


def finished(data: Path, store: Path, config: TrainerConfig, width: int, height: int) -> bool:
    """Whether a run of these options on this dataset has reached its total_kimg."""
    return any(runs_at_end(data, store, config, width, height))


def runs_at_end(
    data: Path, store: Path, config: TrainerConfig, width: int, height: int
) -> Iterator[Path]:
    """The runs of these options on this dataset that have reached their total_kimg."""
    runs = runs_on(data, store)
    wanted = config.resolved_beside(runs, width, height)
    total = round(1000 * wanted.run.total_kimg)
    yield from (run for run in runs if is_of(run, wanted) and images_seen(run) >= total)


def newest_grid(run: Path | None) -> Path | None:
    """The newest grid of a run, truncated: what its generator draws."""
    found = list((run / "grids").glob("psi*.png")) if run else []
    return max(found, key=lambda path: path.stem[-10:], default=None)


def as_begun(
    data: Path, store: Path, config: TrainerConfig, width: int, height: int
) -> TrainerConfig:
    """With ONCE, where no preset is named and a run that was begun with it is there."""
    if config.options()["preset"]:
        return config
    runs, once = runs_on(data, store), replace(config, preset=ONCE)  # type: ignore[call-arg]
    usual, wanted = (each.resolved_beside(runs, width, height) for each in (config, once))
    found = any(is_of(run, wanted) and not begun_as(run, usual, wanted) for run in runs)
    return once if found else config


def begun_as(run: Path, config: Config, other: Config) -> bool:
    """Whether a run began with something of a config in which that and the other differ.

    Presets are no part of its identity: of the networks of a model all have the same.
    """
    parts = (folder.saved_run(run) or {})["config"].values()
    begun = {name: value for part in parts for name, value in part.items()}
    own, others = config.options(), other.options()
    return any(begun.get(n) == own[n] != others[n] for n in own)


def known_runs(store: Path) -> list[Path]:
    """The folders of all runs."""
    return folder.runs_in(store / RUNS)


def runs_on(data: Path, store: Path) -> list[Path]:
    """The folders of the runs that learnt from this dataset.

    A folder of records is named after what is in it, so that its name tells, wherever it lies.
    """
    found = []
    for run in known_runs(store):
        with suppress(ConfigError, LookupError, TypeError, AttributeError):
            saved = folder.saved_run(run) or {}
            given = [saved["config"]["data"]["data"]]
            given += [change["options"].get("data", "") for change in saved["changes"]]
            if any(Path(path).parts[-2:] == data.parts[-2:] for path in given):
                found.append(run)
    return found


def is_of(run: Path, config: Config) -> bool:
    """Whether this run has the identity of these options."""
    try:
        dataset = folder.dataset_of(folder.saved_run(run) or {})
    except (ConfigError, LookupError, TypeError, AttributeError):
        return False  # not written by a trainer of this version
    return run.name == f"{config.run.name}-{folder.key(config, dataset)}"


def tell_runs(store: Path) -> Iterator[tuple[str, str]]:
    """Of each run what trains it, and a line: its name and how far it is."""
    for run in known_runs(store):
        try:
            known = folder.current(folder.saved_run(run) or {})
        except (KeyError, TypeError, AttributeError):
            raise folder.incomplete(run) from None
        task = "DistillStyleGAN" if "teacher_sha256" in known else "TrainStyleGAN"
        yield task, f"{run.name}: {images_seen(run) / 1000:g} of {known['total_kimg']:g} kimg"


def train_generator(data: Path, store: Path, config: TrainerConfig, say: child.Say) -> None:
    """Train until total_kimg, or go on; what the trainer prints goes to the terminal.

    The store's lock is given back: this takes days, and a run has a lock of its own.

    After SIGINT or SIGTERM the trainer writes a checkpoint, then KeyboardInterrupt is raised.
    Raises TrainError where training ends early for another reason.
    """
    lock.release(store)
    words = [f"--data={data}", f"--out={store / RUNS}", *config.words()]
    follow_trainer(child.command("training", words), say)


def follow_trainer(command: list[str], say: child.Say) -> None:
    """Run the trainer to its end; raises TrainError unless it finished."""
    code, reason = child.follow(command, STATUS, say)
    if code == COLLAPSED:
        raise child.TrainError(
            f"training {reason or 'collapsed'}; its checkpoints are kept: lower g_lr and d_lr,"
            " raise r1_gamma, or set on_collapse = rollback in [TrainStyleGAN], and run it again"
        )
    child.judge(code, reason, "batch, or accumulation")
