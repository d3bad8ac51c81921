"""What makes the results, by digest and version: workers that have other software are refused."""

import hashlib
import os
import platform
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

from atelier.files import digest_file

ROOT = Path(__file__).parents[2]
PACKAGES = ("atelier", "detectors", "pipeline", "training")
LIBRARIES = (
    "ai-edge-litert",
    "numpy",
    "opencv-python",
    "opencv-python-headless",
    "pandas",
    "pillow",
    "pyarrow",
    "scipy",
    "tensorflow",
    "torch",
    "torchvision",
)
# Wand asks two compilers for one name of ImageMagick's library after the other, 24 in all: for half
# a second in each process, unless the usual ones come first.
os.environ.setdefault("WAND_MAGICK_LIBRARY_SUFFIX", "-7.Q16HDRI;-7.Q16;-6.Q16")
SHORT = 8  # digits of a digest that people are shown

Software = Mapping[str, str]


@cache
def installed() -> Software:
    """Names and versions of all in this process's place that a result may depend on."""
    versions = {name: version(name) for name in LIBRARIES}
    python = ".".join(platform.python_version_tuple()[:2])
    return {"the code": code(), "Python": python, "ImageMagick": magick(), **versions}


def version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "none"


def magick() -> str:
    """ImageMagick's version, as its library says it."""
    try:
        from wand.version import MAGICK_VERSION
    except ImportError:
        return "none"
    return str(MAGICK_VERSION).split()[1]


def code() -> str:
    """A digest of every file of our packages that is code or goes with it."""
    digest = hashlib.sha256()
    for path in sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.name[0] != ".":
            digest.update(f"{path.relative_to(ROOT)}\0{digest_file(path)}".encode())
    return digest.hexdigest()[:SHORT]


def unlike(theirs: Software, ours: Software) -> str:
    """What differs, in words; nothing where all is the same."""
    return ", ".join(
        f"{name} {theirs.get(name, 'none')} instead of {ours.get(name, 'none')}"
        for name in sorted({*theirs, *ours})
        if theirs.get(name) != ours.get(name)
    )
