"""What a generator's file says of its networks: no weights are made of it, no TensorFlow loaded."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeVar

from atelier.arrays import CheckpointError, foreign, load_arrays
from atelier.errors import stand_in
from atelier.files import digest_file
from atelier.listing import head_of
from training.exchange.forms import discriminator_config, generator_config
from training.exchange.nvidia import PARTS, Found, read_networks
from training.exchange.pickles import NetworkFileError
from training.networks.architecture import (
    DiscriminatorConfig,
    GeneratorConfig,
    NetworkConfig,
    saved_generator,
    saved_pair,
)
from training.run import checkpoints

T = TypeVar("T")
LARGEST = 16 * 2**30  # bytes of a pickle
WORDS = {
    "torch": "a pickle of stylegan2-ada-pytorch or StyleGAN3's repository",
    "tf1": "a pickle of TensorFlow 1",
}
NAMING = "name a run, a .npz or a .pkl"
TFLITE = "a file of TFLite"
# Files of networks for other programs that do not begin alike, by their suffix.
GRAPHS = {".onnx": "a file of ONNX", ".pb": "a graph of TensorFlow's"}
OWN = (b"PK", b"\x80")  # how a .npz and a pickle begin, whatever they are called
# An array that each network has, by which one sees whether a file holds it.
PROOFS = {"G_ema": "mapping/w_avg", "G": "mapping/w_avg", "D": "b4/out/bias"}


@dataclass(frozen=True)
class ModelFile:
    """What a file is, and of which networks."""

    path: Path
    source: str  # what the file is, in words
    config: GeneratorConfig  # of G and G_ema
    discriminator: DiscriminatorConfig | None  # of D, as far as the file says

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file, which is read for it."""
        return digest_file(self.path)


@dataclass(frozen=True)
class Described(ModelFile):
    """What a file is, and which networks are in it."""

    parts: tuple[str, ...]  # of G_ema, G, D those that it holds
    about: Mapping[str, Any] = field(default_factory=dict)  # of a run: its key, its counters

    @property
    def origin(self) -> str:
        """Ten digits that tell which file it is; none for a run's, which `import` makes, too."""
        return "" if "counters" in self.about else self.digest[:10]


def describe_model(path: Path) -> Described:
    """What a run's folder, a checkpoint, a small .npz or a network pickle says of its networks.

    Raises NetworkFileError or CheckpointError in one sentence.
    """
    if path.is_dir():
        return of_newest(path, "about", lambda found: describe_model(found.path))
    check_there(path)
    return described_file(path, path.stat().st_mtime_ns)


def of_newest(run: Path, part: str, made: Callable[[checkpoints.Checkpoint], T]) -> T:
    """What is made of a run's newest whole checkpoint, of which a part was read.

    Training may take it away meanwhile, and then has a newer one. Raises CheckpointError.
    """
    while True:
        found, _ = checkpoints.newest(run, part=part)
        if found is None:
            check_ours(run)
            raise CheckpointError(f"{run} is no run with a whole checkpoint: name one that is")
        try:
            return made(found)
        except (CheckpointError, NetworkFileError, FileNotFoundError):
            if not checkpoints.is_gone(found.path):
                raise


def check_there(path: Path) -> None:
    """Raise NetworkFileError where there is no such file."""
    if not path.is_file():
        what = "is no file" if path.exists() else "does not exist"
        raise NetworkFileError(f"{path} {what}: {NAMING}")
    if said := stand_in(head_of(path)):
        raise NetworkFileError(f"{path} is {said}: {NAMING}")
    check_ours(path)


def check_ours(path: Path) -> None:
    """Raise NetworkFileError for a network that is there for other programs, as of `export`."""
    if kind := graph_kind(path):
        raise NetworkFileError(others_file(path, kind))


def others_file(path: Path, kind: str) -> str:
    """What is said of a network that only other programs can open."""
    return f"{path} is {kind}, for other programs: name the run, .npz or .pkl that it was made of"


def is_for_torch(about: Mapping[str, Any]) -> bool:
    """Whether a file says of itself what `export --to ada-pytorch` does."""
    return isinstance(known := about.get("G"), dict) and "c_dim" in known


def graph_kind(path: Path) -> str:
    """What a network is that other programs run, in words; nothing of all else."""
    if path.is_dir():
        return "a SavedModel" if (path / "saved_model.pb").is_file() else ""
    head = head_of(path)
    if head[4:8] == b"TFL3":
        return TFLITE
    return "" if head.startswith(OWN) else GRAPHS.get(path.suffix.lower(), "")


@lru_cache(maxsize=8)
def described_file(path: Path, mtime_ns: int) -> Described:
    """The same of a file, which is read once as long as it stays as it is."""
    if is_pickle(path):
        with named_file(path):
            networks = networks_of(path)
            average = networks["G_ema"]
            known = discriminator_config(networks["D"]) if "D" in networks else None
            parts = tuple(part for part in PARTS if part in networks)
            return Described(path, WORDS[average.layout], generator_config(average), known, parts)
    _, about = load_arrays(path, "about")
    generator, discriminator = configs_in(path, about)
    parts = tuple(n for n, array in PROOFS.items() if load_arrays(path, f"{n}/{array}")[0])
    return Described(path, kind_of(about), generator, discriminator, parts, about)


def is_pickle(path: Path) -> bool:
    """Whether a file has to be a pickle: by its first byte, or by its name."""
    return foreign(path).startswith("a pickle") or path.suffix in (".pkl", ".pickle")


@contextmanager
def named_file(path: Path) -> Iterator[None]:
    """Let what is said of a pickle begin with its path."""
    try:
        yield
    except NetworkFileError as error:
        raise NetworkFileError(f"{path} {error}") from None
    except ValueError as error:  # what a config or a Shape refuses
        raise NetworkFileError(f"{path} has a network that Atelier has not: {error}") from None


def networks_of(path: Path) -> Mapping[str, Found]:
    """The networks of a pickle, G_ema among them."""
    if path.stat().st_size > LARGEST:
        raise NetworkFileError(
            f"has {path.stat().st_size / 2**30:.0f} GiB: no network is larger than"
            f" {LARGEST / 2**30:.0f}"
        )
    networks = read_networks(path.read_bytes())
    if "G_ema" not in networks:
        raise NetworkFileError("has no G_ema: only the averaged generator is of use")
    return networks


def kind_of(about: Mapping[str, Any]) -> str:
    """What a file of ours is, in words."""
    return "a checkpoint" if "counters" in about else "a generator apart from its run"


def configs_in(
    path: Path, about: Mapping[str, Any]
) -> tuple[GeneratorConfig, DiscriminatorConfig | None]:
    """The configs of G and D in what a file of ours says of them; D's may be missing."""
    if is_for_torch(about):
        raise NetworkFileError(others_file(path, "a file of tensors for ada-pytorch"))
    with checkpoints.telling_its_network(path):
        network = about["network"]
        if "counters" in about and not isinstance(about["counters"]["seen"], int):
            raise ValueError("it counts no images")
        if "G" in network and "D" not in network:
            return saved_generator(network["G"]), None
        pair = saved_pair(network)
    return pair.generator, pair.discriminator


def form_in_words(form: NetworkConfig) -> str:
    """The form of a network's images."""
    return f"{form.width} x {form.height} x {form.channels}"
