"""The options of a distillation: those of a run, as far as they apply, and its own."""

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, ClassVar, Literal

from atelier.options import option, shown
from training import presets, schedule
from training.config import SECTIONS, Config, ConfigError, Options, made_sections, steps_option


@dataclass(frozen=True)
class DistillConfig(Options):
    """Whom a student learns from, and what."""

    teacher: str = option(
        "",
        "the generator to learn from: folder of a run, a checkpoint, NVIDIA's .pkl, or a .npz",
        path=True,
    )
    vgg: str = option(
        "",
        "file of VGG19's weights as Keras has them, or keras: its download; empty: features of the"
        " teacher's D stand in",
        path=True,
    )
    lambda_perceptual: str = steps_option("1", "weight of the perceptual loss, by kimg (lambda 1)")
    lambda_adversarial: str = steps_option("0.01", "weight of D's word, by kimg (lambda 2)")
    lambda_d: str = steps_option("1", "weight of D's own loss, by kimg (lambda 3)")
    penalty: Literal["r1", "r2"] = option(
        "r1", "what D's gradient is punished at: r1: real images, r2: the student's"
    )
    pyramid: bool = option(True, "compare the images of all heads; false: of the last alone")
    reals: Literal["data", "teacher"] = option("data", "whose images D is told are real")

    def __post_init__(self) -> None:
        super().__post_init__()
        both = [schedule.steps(text) for text in (self.lambda_perceptual, self.lambda_adversarial)]
        for kimg in sorted(kimg for steps in both for kimg, _ in steps):
            if not any(schedule.value_at(steps, round(kimg * 1000)) for steps in both):
                raise ConfigError(
                    f"from {kimg:g} kimg on lambda_perceptual = 0 and lambda_adversarial = 0, which"
                    " teach a student nothing: raise one of them"
                )


@dataclass(frozen=True)
class TaughtConfig(Options):
    """Which teacher that is, whatever its file is called."""

    teacher_sha256: str = option("", "digest of the teacher's file")


@dataclass(frozen=True)
class DistillationConfig(Config):
    """All options of a distillation."""

    FIXED: ClassVar[tuple[str, ...]] = ("teacher_sha256",)
    DIFFER: ClassVar[Mapping[str, str]] = {
        "teacher_sha256": (
            "teacher = {teacher} is not the generator that {run} learns from: where it has"
            " learnt on since, name the checkpoint of then, whose SHA-256 begins with {before:.10}"
        )
    }
    WHOLE: ClassVar[str] = (
        "choose a larger batch or fewer parts: the group is the teacher's, or 4 where it has no D"
    )
    distill: DistillConfig = field(default_factory=DistillConfig)
    taught: TaughtConfig = field(default_factory=TaughtConfig)


# What can be given: of each section these, or all. The rest is the teacher's, or does not apply.
GIVEN: dict[str, tuple[type[Options], tuple[str, ...]]] = {
    "distill": (DistillConfig, ()),
    "data": (SECTIONS["data"], ("data", "mirror")),
    "network": (SECTIONS["network"], ("fmap_max",)),
    "loss": (
        SECTIONS["loss"],
        ("r1_gamma", "r1_interval", "mixing", "ema_kimg", "ema_ramp"),
    ),
    "rate": (SECTIONS["rate"], ()),
    "augment": (SECTIONS["augment"], ()),
    "run": (SECTIONS["run"], ()),
}
LEFT_OUT = ("resume_from", "restart_schedule", "freeze_d", "begun_from")
ALL = SECTIONS | {"distill": DistillConfig, "taught": TaughtConfig}
# The paper's where it says something (section 5): Adam's betas, the batch, 800,000 steps.
PUBLISHED: dict[str, Any] = {
    "beta1": 0.9,
    "beta2": 0.999,
    "batch": 32,
    "total_kimg": 25600,
    # Weights are scaled at run time, so steps are small beside them: the paper has no figure.
    "g_lr": "0.01",
    "mixing": 0,
    "pl_weight": 0,
    "mbstd_group": 1,  # which divides any batch, until the teacher is known and says its own
}
# What holds of an option that is not given, where `train` has another default.
DEFAULTS = {name: shown(value) for name, value in PUBLISHED.items()} | {"r1_gamma": "by size"}
SMALL_GAMMA = 0.002  # times the area of an image up to 64 px: where presets.small ends


def given_fields() -> list[Field[Any]]:
    """The fields of all that can be given."""
    return [
        f
        for part, (section, _) in GIVEN.items()
        for f in fields(section)
        if f.name in names_given(part)
    ]


def names_given(part: str) -> list[str]:
    """The options of a section that can be given."""
    section, some = GIVEN[part]
    names = [f.name for f in fields(section) if f.name in some or not some]
    return [name for name in names if name not in LEFT_OUT]


def left_out(part: str) -> list[str]:
    """The options of a section that cannot."""
    return [f.name for f in fields(GIVEN[part][0]) if f.name not in names_given(part)]


def option_names() -> set[str]:
    """All that can be given, by name."""
    return {f.name for f in given_fields()}


def configured(
    given: Mapping[str, Any], named: Mapping[str, Any], size: tuple[int, int] = (64, 64)
) -> DistillationConfig:
    """The config for images of `size` (H, W); raises ConfigError.

    `named` are options that follow from the teacher: what `train` would have been told.
    """
    by_size = {"r1_gamma": gamma(*size)}
    options = PUBLISHED | by_size | dict(named) | dict(given)
    return DistillationConfig(**made_sections(options, ALL))


def gamma(height: int, width: int) -> str:
    """The weight of R1 by size: StyleGAN2-ADA's, and that of small runs up to 64 px."""
    area = height * width
    if area**0.5 <= presets.SMALL:
        return f"{SMALL_GAMMA * area:.6g}"
    return f"{0.0002 * area / PUBLISHED['batch']:.6g}"
