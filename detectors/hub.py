"""Finds the SavedModel behind a TensorFlow Hub handle: a folder, an archive, or an address.

tfhub.dev has redirected to Kaggle since November 2023, and much of it is gone: what lies here is
asked first, and the network last.
"""

import hashlib
import os
import tarfile
import tempfile
import threading
import warnings
import zlib
from lzma import LZMAError
from pathlib import Path

from atelier import files
from atelier.commands import WAYS_OUT
from atelier.errors import reason_in

ARCHIVES = (".tar.gz", ".tgz", ".tar")


def folder_of(handle: str) -> Path:
    """The folder of the SavedModel. Raises ValueError with the way out where there is none."""
    if "://" not in handle:
        return local(Path(handle))
    folder = cache() / hashlib.sha1(handle.encode()).hexdigest()
    return folder if (folder / "saved_model.pb").is_file() else downloaded(handle, folder)


def cache() -> Path:
    """Where tensorflow-hub keeps its downloads, too."""
    named = os.environ.get("TFHUB_CACHE_DIR")
    return Path(named) if named else Path(tempfile.gettempdir()) / "tfhub_modules"


def local(path: Path) -> Path:
    if path.is_dir():
        return path
    if path.is_file() and path.name.endswith(ARCHIVES):
        return unpacked(path)
    raise ValueError(f"give a folder, an archive ({', '.join(ARCHIVES)}) or an address")


def unpacked(archive: Path) -> Path:
    """The folder of an archive in the cache, named by its content; unpacked once."""
    with archive.open("rb") as file:
        folder = cache() / hashlib.file_digest(file, "sha1").hexdigest()
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    files.sweep(folder.parent)
    # A Dask worker may have several threads, and each unpacks by itself.
    with files.passing(folder.with_name(f"{folder.name}-{threading.get_ident()}")) as beside:
        try:
            unpack(archive, beside)
        except (tarfile.TarError, EOFError, zlib.error, LZMAError, OSError) as error:
            if isinstance(error, OSError) and error.errno in WAYS_OUT:
                raise  # the machine is at fault, not the archive
            said = reason_in(str(error))
            raise ValueError(f"it is no archive that can be unpacked: {said}") from None
        if not beside.is_dir():
            raise ValueError("the archive holds nothing: fetch it again")
        try:
            beside.rename(folder)
        except OSError:  # another was faster
            if not folder.is_dir():
                raise
    return folder


def unpack(archive: Path, folder: Path) -> None:
    """Unpack it to its very end, where the checksum of what is compressed stands."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
        while tar.fileobj and tar.fileobj.read(1 << 20):
            pass


def downloaded(handle: str, folder: Path) -> Path:
    """Let tensorflow-hub fetch it into the cache."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it imports what is deprecated
            import tensorflow_hub

            return Path(tensorflow_hub.resolve(handle))
    except Exception as error:  # it lets through whatever its network code raises
        raise ValueError(
            f"it is not in the cache and could not be fetched ({reason_in(str(error))}): give its"
            f" folder or .tar.gz as hub:PATH, or unpack it into {folder}"
        ) from None
