"""LiteRT.js, which draws in a browser: fetched with npm once, told by its digest, then kept."""

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from atelier.errors import Failure
from atelier.files import passing, replacing, sweep
from training.deploy.formats import DeployError


class FetchError(Failure):
    """What npm could not bring, or brought otherwise than it should be."""


@dataclass(frozen=True)
class Package:
    """A package of npm: its SHA-512 in base64, and which of its files go where beside a page."""

    name: str
    version: str
    digest: str
    files: dict[str, str]

    @property
    def archive(self) -> str:
        """What npm calls its file."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


VERSION = "2.5.3"
# One thread and no WebGPU: the plain build, and the one for browsers without relaxed SIMD.
BUILDS = ("litert_wasm_internal", "litert_wasm_compat_internal")
PACKAGES = (
    Package(
        "@litertjs/core",
        VERSION,
        "PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
        {"dist/index.js": "core.js"}
        | {
            f"wasm/{build}.{kind}": f"wasm/{build}.{kind}"
            for build in BUILDS
            for kind in ("js", "wasm")
        },
    ),
    Package(
        "@litertjs/wasm-utils",
        VERSION,
        "4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ==",
        {"dist/index.js": "wasm-utils.js"},
    ),
)
NOTICE = (
    f"LiteRT.js {VERSION}, @litertjs/core and @litertjs/wasm-utils, by Google LLC.\n"
    "Licensed under the Apache License, Version 2.0: http://www.apache.org/licenses/LICENSE-2.0\n"
)


def put_litert(folder: Path) -> None:
    """Write LiteRT.js into a new folder; raises DeployError or FetchError."""
    for package in PACKAGES:
        with tarfile.open(kept(package)) as archive:
            for inner, name in package.files.items():
                source = archive.extractfile(f"package/{inner}")
                place = folder / name
                place.parent.mkdir(parents=True, exist_ok=True)
                with place.open("wb") as file:
                    shutil.copyfileobj(source, file)  # type: ignore[arg-type]
    (folder / "NOTICE.txt").write_text(NOTICE)


def cache() -> Path:
    """Where archives are kept between pages."""
    above = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(above).expanduser() / "atelier"


def kept(package: Package) -> Path:
    """The archive of a package in the cache, as it should be; fetched where it is not."""
    path = cache() / package.archive
    if not (path.is_file() and digest_of(path) == package.digest):
        fetch(package, path)
    return path


def fetch(package: Package, path: Path) -> None:
    """Bring an archive from the registry that npm is set up for."""
    npm = shutil.which("npm")
    if not npm:
        raise DeployError(
            f"LiteRT.js is not in {path.parent} and there is no npm to fetch it: install npm"
            f" (apt-get install npm), or put {package.archive} there"
        )
    sweep(path.parent)
    with replacing(path) as partial, passing(path.parent / "npm") as folder:
        folder.mkdir()
        wanted = f"{package.name}@{package.version}"
        line = [npm, "pack", wanted, "--ignore-scripts", "--silent", "--pack-destination", "."]
        done = subprocess.run(line, capture_output=True, text=True, cwd=folder, check=False)
        brought = folder / package.archive
        if done.returncode or not brought.is_file():
            said = (done.stderr.strip() or "it says nothing").splitlines()[0]
            raise FetchError(
                f"npm could not fetch {wanted} ({said}): is there a network? Or put"
                f" {package.archive} into {path.parent}"
            )
        if digest_of(brought) != package.digest:
            raise FetchError(
                f"npm brought another {wanted} than was published: its SHA-512 is"
                f" {digest_of(brought)}, and should be {package.digest}: ask its registry"
            )
        brought.replace(partial)


def digest_of(path: Path) -> str:
    """The SHA-512 of a file, in base64, as npm writes it."""
    with path.open("rb") as file:
        return base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
