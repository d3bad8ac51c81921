"""Fine-tuning: what a run takes over from the model that its `resume_from` names."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol

from training import presets
from training.config import NAMES, SECTIONS, ArchitectureConfig, Config, ConfigError
from training.exchange.described import Described, describe_model, form_in_words
from training.exchange.pickles import NetworkFileError
from training.networks.architecture import (
    DiscriminatorConfig,
    GeneratorConfig,
    NetworkConfig,
    Pair,
    StudentConfig,
)
from training.run import folder
from training.sources import Source

# What the StyleGAN2-ADA paper's transfer learning has beside `presets.FINE_TUNED`.
PUBLISHED = {"augment": "ada", "ema_ramp": 0.0}
FROZEN = 3  # levels of D that Freeze-D leaves as they are, from the image on
KEPT = (*(f.name for f in fields(ArchitectureConfig)), "labels", "freeze_d", "begun_from")
BOTH = ("fmap_base", "fmap_max", "conv_clamp", "labels", "height", "channels")


class Networks(Protocol):
    """What `describe_model` and `open_generator` give."""

    @property
    def path(self) -> Path: ...
    @property
    def config(self) -> GeneratorConfig: ...
    @property
    def discriminator(self) -> DiscriminatorConfig | None: ...


def resolve_begun(
    preset: str, height: int, width: int, given: Mapping[str, Any], runs: Iterable[Path] = ()
) -> Config:
    """The config of a run for images of this size.

    Where `resume_from` names a model, the networks are the model's, and one of another trainer's
    is fine-tuned as published; where it is gone, they are those of the one of `runs` that was begun
    from it. What is given comes on top. Raises ConfigError where it contradicts the model, and what
    `describe_model` raises.
    """
    if model := begun_from(given):
        return presets.resolve(preset, height, width, with_model(given, model))
    for known in folder.all_begun(runs, str(given.get("resume_from") or "")):
        with suppress(ConfigError):  # what is given is not for this run, or it says odd things
            config = presets.resolve(preset, height, width, {**kept_by(known), **given})
            if folder.key(config, folder.dataset_of(known)) == known["key"]:
                return config
    return presets.resolve(preset, height, width, given)


def begun_from(given: Mapping[str, Any]) -> Described | None:
    """The model that the options name; None where they name none, or one that is gone.

    A run goes on without what it was begun from.
    """
    path = given.get("resume_from")
    return describe_model(Path(path)) if path and os.path.exists(path) else None


def with_model(given: Mapping[str, Any], model: Described) -> dict[str, Any]:
    """The options that are given, upon those of the model; raises ConfigError where they differ."""
    if isinstance(model.config, StudentConfig):
        raise ConfigError(
            f"resume_from = {model.path} is a student: `distill` goes on with its run, and train"
            " begins from its teacher"
        )
    own = {**network_options(model), "labels": bool(model.config.labels)}
    for name, value in own.items():
        asked = getattr(SECTIONS[NAMES[name]](**{name: given.get(name, value)}), name)
        if asked != value:
            raise ConfigError(
                f"{name} = {asked}, but {model.path} has {name} = {value}: leave it out, or choose"
                " another resume_from"
            )
    if model.origin:
        own |= {**PUBLISHED, "freeze_d": frozen_layers(model), "begun_from": model.origin}
    return {**own, **given}


def kept_by(known: Mapping[str, Any]) -> dict[str, Any]:
    """What a run keeps of the model that it was begun from; `known` is its config.json."""
    options = folder.current(known)
    own = {name: options[name] for name in KEPT if name in options}
    return own | (PUBLISHED if own.get("begun_from") else {})


def frozen_layers(model: Described) -> int:
    """How many layers of D do not learn: fromrgb and those of its three highest levels.

    At most half of the levels: 10 layers from 256 px on, the lesser of the two numbers that
    StyleGAN2-ADA advises. A new D learns whole.
    """
    if model.discriminator is None or "D" not in model.parts:
        return 0
    per_level = 2 if model.discriminator.architecture == "orig" else 3
    return 1 + per_level * min(FROZEN, model.config.shape.levels // 2)


def network_options(model: Networks) -> dict[str, Any]:
    """The options of a run that make its networks those of the model."""
    known = model.config.saved() if model.discriminator is None else pair_of(model).named()
    return {f.name: known[f.name] for f in fields(ArchitectureConfig) if f.name in known}


def pair_of(model: Networks) -> Pair:
    """Both configs of a model.

    Raises NetworkFileError where options of a run cannot say both.
    """
    if model.discriminator is None:
        raise NetworkFileError(f"{model.path} does not say what its D is")
    pair = Pair(model.config, model.discriminator)
    known = pair.named()
    for name in BOTH:
        if known[name] != known[f"d_{name}"]:
            raise NetworkFileError(
                f"{model.path} has {name} = {known[name]} in G and {known[f'd_{name}']} in D: a run"
                " has the same in both"
            )
    return pair


WAYS_OUT = (  # of other images, of other classes
    "make the dataset so ([Dataset] size and channels), or choose another resume_from",
    "give the dataset as many, or choose another resume_from",
)


def check_images(
    form: NetworkConfig, model: Path, data: str, source: Source, ways_out: tuple[str, str]
) -> None:
    """Raise ConfigError, with both, where the images of a dataset are not a model's."""
    (height, width, channels), classes = source.shape, source.labels.shape[1]
    if (form.height, form.width, form.channels) != source.shape:
        raise ConfigError(
            f"{data} has images of {width} x {height} x {channels}, and {model} draws"
            f" {form_in_words(form)}: {ways_out[0]}"
        )
    if form.labels and form.labels != classes:
        raise ConfigError(
            f"{data} has {classes} classes, and {model} draws {form.labels}: {ways_out[1]}"
        )
