"""One photo, cut as the dataset's are, and found again in a generator."""

import argparse
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import detectors
from atelier import files, pictures
from atelier.boxes import Box
from pipeline.dataset.export import CHANNELS
from pipeline.engine import processes
from pipeline.options import SettingsError, current
from pipeline.rows.manifest import Row
from pipeline.sections import DatasetConfig, PortraitConfig, size_in_words
from pipeline.stages import crop, detect, finds, resize
from pipeline.stages.ingest import IngestConfig
from pipeline.train import child
from training.exchange.described import describe_model
from training.explore.asked import check_file, check_label, check_model
from training.explore.drawing import check_projection
from training.networks.architecture import NetworkConfig

ANY_NUMBER = 1_000_000  # of faces


@dataclass(frozen=True)
class Cut:
    """The portrait of a photo as PNG, or why there is none."""

    reason: str
    faces: int = 0  # that count
    face: Box | None = None  # the one around which it was cut
    picture: bytes = b""


def project_photo(given: argparse.Namespace) -> int:
    """Cut the portrait, save it, find it again in a process of its own; returns the exit code.

    Raises SettingsError where the photo has no portrait, and the model's own refusals.
    """
    if not given.photo.is_file():
        raise SettingsError(f"photo = {given.photo}: there is no such file")
    check_model(given.model)
    check_projection(given)
    portrait = given.out.with_name(f"{given.out.stem}-portrait.png")
    check_file(portrait, read=[given.photo])
    form = describe_model(given.model).config
    check_label(given.label, form.labels)
    cut = portrait_of(given.photo, form)
    if cut.faces > 1:
        assert cut.face is not None
        width, height, left, top = cut.face.width, cut.face.height, cut.face.left, cut.face.top
        print(f"{cut.faces} faces: the largest is taken, {width} x {height} at {left}, {top}")
    files.write(portrait, cut.picture)
    print(portrait, flush=True)
    words = [f"--model={given.model}", f"--photo={portrait}", f"--out={given.out}"]
    words += [f"--space={given.space}", f"--steps={given.steps}"]
    more = {name: getattr(given, name) for name in ("label", "film", "save", "vgg")}
    words += [f"--{name}={value}" for name, value in more.items() if value not in (None, "")]
    return child.attended(child.command("training", words, "project"))


def portrait_of(photo: Path, form: NetworkConfig) -> Cut:
    """The portrait as the settings would have it, of a model's size; the largest of several faces.

    A small one is enlarged, whatever `[Crop] enlarge` says. Raises SettingsError where the settings
    would drop it.
    """
    looking = current(detect.DetectConfig)
    detect.check_detectors(looking)
    recipe = recipe_for(form, looking.looks)
    limit = current(IngestConfig).pixel_limit
    try:
        cut = processes.run_apart(cut_portrait, photo, looking.looks, recipe, limit)
    except BrokenProcessPool:
        raise SettingsError(
            f"photo = {photo}: looking at it ended that process, for want of memory: take a"
            " smaller one"
        ) from None
    if cut.reason:
        names = ", ".join(detectors.short(look.spec) for look in looking.looks)
        raise SettingsError(
            f"photo = {photo}: {cut.reason} ({names}): name another photo, or change [Detect]"
            " min_face, [Crop] or [Portrait]"
        )
    return cut


def recipe_for(form: NetworkConfig, looks: Sequence[detect.Look]) -> crop.Recipe:
    """The recipe of the settings, for one photo and a model's form."""
    channels: Any = next(name for name, count in CHANNELS.items() if count == form.channels)
    size = size_in_words(form.width, form.height)
    dataset = replace(current(DatasetConfig), size=size, channels=channels, format="png")
    config = current(crop.CropConfig)
    specs = crop.checked(config, looks)
    config = replace(config, faces="largest", max_faces=ANY_NUMBER, enlarge=True)
    return crop.Recipe(config, current(PortraitConfig), dataset, crop.wanted(specs))


def cut_portrait(
    photo: Path, looks: Sequence[detect.Look], recipe: crop.Recipe, pixel_limit: int
) -> Cut:
    """What Ingest, Detect, Crop and Resize make of one photo; in a process that may load much.

    Raises SettingsError where it cannot be read.
    """
    data = photo.read_bytes()
    try:
        header = pictures.header(data, pixel_limit)
        row = Row(id="0", photo="0", path=str(photo), format=header.format)
        row = replace(row, width=header.width, height=header.height)
        seen = [
            replace(row, boxes=detect.measure_photo(data, row, detect.load(one.spec, one.min_face)))
            for one in looks
        ]
        joined = finds.joined_row(seen, [detectors.face_factors(one.spec) for one in looks])
        (made,) = crop.crop(joined, recipe)
        if made.drop is not None:
            return Cut(made.drop)
        assert made.rectangle is not None
        dataset = recipe.dataset
        mode = "RGBA" if dataset.channels == "rgba" else "RGB"
        place = made.rectangle, dataset.width_height, dataset.background, mode
        picture = resize.picture(pictures.decode(data, *place), dataset)
    except pictures.UnreadableError as reason:
        raise SettingsError(f"photo = {photo}: {reason}: name another photo") from None
    faces = crop.counted_faces([one.box for one in joined.boxes if one.label == detectors.FACE])
    return Cut("", len(faces), made.face, picture)
