"""Where images come from: TFRecords, an ada-pytorch zip, a folder of pictures.

A source gives any image by its number as HWC uint8, so that order and position belong to us.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.sources.pictures import Pictures
from training.sources.records import Records, record_files
from training.sources.source import DataError, Pixels, Size, Source
from training.sources.stores import FolderStore, Store, ZipStore, only_zip

__all__ = [
    "DataError",
    "FolderStore",
    "Pictures",
    "Pixels",
    "Records",
    "Size",
    "Source",
    "Store",
    "ZipStore",
    "dataset_identity",
    "open_records",
    "open_source",
    "open_store",
]


def open_source(path: str | Path) -> Source:
    """The source at this path, whichever kind it is; raises DataError."""
    path = Path(path).expanduser()
    records = open_records(path)
    if records is not None:
        return records
    store = open_store(path)
    if store is None:
        raise DataError(f"{path} is no dataset: name a folder of TFRecords, a zip or a folder")
    return Pictures(store)


def open_records(path: Path) -> Records | None:
    """The records at this path, a file or a folder; None where there are none."""
    if path.is_dir() or (path.is_file() and path.suffix.lower() == ".tfrecords"):
        files = record_files(path)
        return Records(files) if files else None
    return None


def open_store(path: Path) -> Store | None:
    """The files at this path: a zip, the one that a folder holds, or the folder's; else None."""
    if path.is_dir():
        found = only_zip(path)
        return ZipStore(found) if found else FolderStore(path)
    return ZipStore(path) if path.is_file() and path.suffix.lower() == ".zip" else None


def dataset_identity(source: Source) -> Mapping[str, Any]:
    """What a run remembers of its dataset, so that another one is noticed."""
    labels = hashlib.sha256(source.labels.tobytes()).hexdigest()[:16]
    return {
        "images": len(source),
        "shape": list(source.shape),
        "classes": source.labels.shape[1],
        "digest": source.digest,
        "labels_digest": labels,
    }
