"""DistillStyleGAN: `python -m training distill` on the newest dataset, in a process of its own."""

from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass
from pathlib import Path
from typing import Any

from atelier.files import digest_file
from atelier.options import option
from pipeline.dataset.export import ExportTFRecordsConfig
from pipeline.engine import lock
from pipeline.options import SettingsError, located, with_options
from pipeline.sections import DatasetConfig
from pipeline.train import child, stylegan
from pipeline.train.stylegan import RUNS, TrainerConfig
from training.config import KERAS, ConfigError
from training.exchange.described import describe_model
from training.explore import asked
from training.run import checkpoints, folder
from training.student import options
from training.student.cli import TeacherError, check_teaches, options_of_networks
from training.student.options import DistillationConfig

OWN = {  # where a sentence or a default differs from the command's
    "name": ("student", "name of the run: its folder is runs/name-key"),
    "teacher": (
        "",
        "the generator to learn from: folder of a run, a checkpoint, NVIDIA's .pkl, or a .npz;"
        " empty: the finished run of TrainStyleGAN",
    ),
}


@dataclass(frozen=True)
class StudentTrainerConfig(TrainerConfig):
    """Distillation: the options of `python -m training distill`; an empty one is its default."""

    def check_apart(self) -> None:
        self.resolved(64, 64)

    def resolved(self, width: int, height: int) -> DistillationConfig:
        """All of its options but those that follow from the teacher; raises SettingsError."""
        return self.resolved_after({}, width, height)

    def resolved_after(
        self, named: Mapping[str, Any], width: int, height: int
    ) -> DistillationConfig:
        """The same with some of what follows from the teacher, by name."""
        given = {name: value for name, value in self.options().items() if value}
        try:
            return options.configured(given, named, (height, width))
        except ConfigError as error:
            raise SettingsError(f"[DistillStyleGAN] {error}") from None


def declared_options() -> Iterator[tuple[str, type[str], Field[str]]]:
    """The command's own options with its own sentences, as (name, type, field)."""
    for f in options.given_fields():
        if f.name not in stylegan.DECIDED_HERE:
            default, said = OWN.get(f.name, ("", f.metadata["help"]))
            yield f.name, str, option(default, said, path=f.metadata["path"])


DistillStyleGANConfig = with_options(
    StudentTrainerConfig, "DistillStyleGANConfig", declared_options()
)


def check_files(
    config: StudentTrainerConfig, dataset: DatasetConfig, export: ExportTFRecordsConfig
) -> None:
    """Raise SettingsError where a file is named and is not there, or the teacher cannot teach."""
    stylegan.check_inception(config)
    try:
        asked.check_model(named_teacher(config), "teacher")
        asked.check_vgg(named_vgg(config))
        check_teacher(config, dataset, export)
    except (ConfigError, TeacherError) as error:
        raise SettingsError(f"[DistillStyleGAN] {error}") from None


def check_teacher(
    config: StudentTrainerConfig, dataset: DatasetConfig, export: ExportTFRecordsConfig
) -> None:
    """Raise a Refusal where the named teacher cannot teach, or draws no pictures of this kind."""
    if teacher := named_teacher(config):
        model = describe_model(teacher)
        stylegan.check_model_fits(model, dataset, export)
        check_teaches(model, model.parts, named_vgg(config))
        config.resolved_after(options_of_networks(model), *dataset.width_height)


def teacher_file(teacher: Path) -> Path:
    """The file that a teacher lies in: of a run its newest checkpoint."""
    saved = checkpoints.list_checkpoints(teacher)
    return saved[-1] if saved else teacher


def named_teacher(config: StudentTrainerConfig) -> Path | None:
    """The teacher that the options name."""
    named = config.options()["teacher"]
    return located(named) if named else None


def named_vgg(config: StudentTrainerConfig) -> str:
    """The perceptual network that the options name, as the trainer takes it."""
    named = config.options()["vgg"]
    return named if named in ("", KERAS) else str(located(named))


def runs_at_end(
    data: Path, store: Path, config: StudentTrainerConfig, teacher: Path
) -> Iterator[Path]:
    """The students of this teacher and dataset that have reached their total_kimg."""
    file = teacher_file(teacher)
    if not file.is_file():
        return
    digest, wanted = digest_file(file), config.resolved(64, 64)
    total = round(1000 * wanted.run.total_kimg)
    for run in stylegan.known_runs(store):
        if is_student(run, data, config, digest) and checkpoints.images_seen(run) >= total:
            yield run


def is_student(run: Path, data: Path, config: StudentTrainerConfig, digest: str) -> bool:
    """Whether this run has what no later command may change: teacher, dataset, name, seed, width.

    A folder of records is named after what is in it, so that its name tells, wherever it lies.
    """
    try:
        saved = folder.saved_run(run) or {}
        known = folder.current(saved)
        same = (
            known["teacher_sha256"] == digest and Path(known["data"]).parts[-2:] == data.parts[-2:]
        )
    except (ConfigError, LookupError, TypeError, AttributeError):
        return False  # of another kind
    given = config.options()
    fixed = {name: given[name] for name in ("name", "seed", "fmap_max") if given[name]}
    return same and all(str(known[name]) == value for name, value in fixed.items())


def distil(
    data: Path, store: Path, config: StudentTrainerConfig, teacher: Path, say: child.Say
) -> None:
    """Train until total_kimg, or go on, as `stylegan.train_generator` does."""
    lock.release(store)
    words = [word for word in config.words() if not word.startswith(("--teacher=", "--vgg="))]
    words += [f"--vgg={vgg}"] if (vgg := named_vgg(config)) else []
    words += [f"--teacher={teacher}", f"--data={data}", f"--out={store / RUNS}"]
    stylegan.follow_trainer(child.command("training", words, "distill"), say)
