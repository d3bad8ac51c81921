"""The figures of a generator that is no run of one's own."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from training import sources
from training.config import ConfigError
from training.features.client import Net
from training.metrics import measure
from training.metrics.fakes import Fakes
from training.networks.architecture import NetworkConfig
from training.networks.generator import Generator


def measure_model(
    generator: Generator,
    seen: int,
    source: sources.Source,
    wanted: Sequence[measure.Metric],
    net: Net,
) -> list[measure.Row]:
    """All wanted figures against a dataset, after so many images; nothing of them is kept."""
    with TemporaryDirectory() as name:
        place = Path(name)
        with measure.open_extractor(place, source, net) as extractor:
            fakes = Fakes(generator, source.labels)
            return measure.measure(place, seen, fakes, source, wanted, extractor)


def check_form(form: NetworkConfig, model: str, source: sources.Source) -> None:
    """Raise ConfigError, with both, where pictures or classes of a dataset are others."""
    (height, width, channels), classes = source.shape, source.labels.shape[1]
    if (form.height, form.width, form.channels) != source.shape:
        raise ConfigError(
            f"data = {source.path} has images of {width} x {height} x {channels}, and {model} draws"
            f" {form.width} x {form.height} x {form.channels}: name a dataset of that form"
        )
    if form.labels and form.labels != classes:
        raise ConfigError(
            f"data = {source.path} has {classes} classes, and {model} draws {form.labels}: name a"
            " dataset that has as many"
        )
