"""The figures of a generator that is no run of one's own."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from training import sources
from training.features.client import Net
from training.metrics import measure
from training.metrics.fakes import Fakes
from training.networks.generator import Generator

WAYS_OUT = ("name a dataset of that form", "name a dataset that has as many")


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
