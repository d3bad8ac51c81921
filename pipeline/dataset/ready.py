"""`python -m pipeline records FOLDER OUT`: a flat folder of ready pictures -> records.

What NVlabs/stylegan2's dataset_tool makes of the same folder: same order, same content.
"""

from pathlib import Path

from atelier import pictures
from atelier.listing import is_hidden, is_photo
from pipeline.dataset import export, pack, publish
from pipeline.dataset.pack import Progress
from pipeline.dataset.publish import ExportError
from pipeline.dataset.records import Shape
from pipeline.engine.crew import EngineConfig
from pipeline.photos.folder import read_photo
from pipeline.rows.manifest import Item, Row


def pack_folder(
    folder: Path, out: Path, pixel_limit: int, on: EngineConfig, progress: Progress
) -> list[str]:
    """Make `out`/<name of out>-rNN.tfrecords; returns notes for the person who runs it.

    The first picture by file name fixes size and channels. Raises ExportError with the way out.
    """
    out = out.absolute()
    if out.exists():
        raise ExportError(f"{out} exists already: remove it, or give another name")
    pictures, notes = listed(folder)
    shape = shape_of(pictures[0], pixel_limit)
    ordered = [pictures[index] for index in export.order(len(pictures))]
    whole = pack.pack_all(ordered, out.name, shape, out, out.parent, on, progress, exact=True)
    names = [item.path.name for item in ordered]
    export.describe(whole / out.name, shape, names, None, {})
    publish.publish(whole / out.name, out)
    pack.clear(out)
    return notes + export.export_notes(shape)


def listed(folder: Path) -> tuple[list[Item], list[str]]:
    """The pictures by file name, and a note about what else is there."""
    if not folder.is_dir():
        raise ExportError(f"{folder} is no folder: give the folder that holds the pictures")
    files = sorted(
        (path for path in folder.iterdir() if path.is_file()), key=lambda path: path.name
    )
    pictures = [path for path in files if is_picture(path)]
    others = [path.name for path in files if not is_picture(path)]
    if not pictures:
        raise ExportError(f"{folder} holds no picture: give the folder that holds the pictures")
    items = []
    for number, path in enumerate(pictures):
        seen = path.stat()
        key = f"{number:08}"  # not the name, which may hold bytes that are no text
        items.append(Item(key, Row(key), path.absolute(), seen.st_size, seen.st_mtime_ns))
    if others:
        return items, [f"{len(others)} files are hidden or no pictures, {others[0]!r} the first"]
    return items, []


def is_picture(path: Path) -> bool:
    """By its name, or where that says nothing its first bytes: a broken one is not skipped."""
    return not is_hidden(path.name) and is_photo(path.name, path)


def shape_of(item: Item, pixel_limit: int) -> Shape:
    """Channels, height, width of a picture."""
    data = read_photo(item)
    try:
        seen = pictures.header(data, pixel_limit)
        return pictures.channels_of(data), seen.height, seen.width
    except pictures.UnreadableError as error:
        raise ExportError(f"{item.path}: {error}; mend or remove it") from None
