"""`python -m pipeline records SOURCE OUT`: ready pictures -> a dataset, and a dataset -> another.

A flat folder of pictures gets the order that NVlabs' dataset_tool gives it, a dataset keeps its
own: records, a zip, or a zip unpacked, which is what `--layout pictures` makes.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from atelier import files, pictures
from atelier.commands import say
from atelier.files import LONGEST
from atelier.listing import is_hidden, is_photo, photos, with_suffix
from atelier.names import in_text
from pipeline.dataset import export, finished, growth, pack, unpacked
from pipeline.dataset.finished import ExportError
from pipeline.dataset.labels import LabelRows
from pipeline.dataset.pack import Content, Layout, Progress
from pipeline.dataset.places import shuffled
from pipeline.dataset.records import Shape
from pipeline.engine.crew import EngineConfig
from pipeline.options import SettingsError
from pipeline.photos.folder import read_photo
from pipeline.rows import columns
from pipeline.rows.manifest import Item, Row
from pipeline.rows.parquet import PARTS
from training.sources import FolderStore, Pictures
from training.sources.labels import read_labels

LAYOUTS: Mapping[str, Layout] = {**export.LAYOUTS, "pictures": unpacked.PicturesLayout()}
PIXELS = export.LAYOUTS["sharded"].pixels
# What an unfinished export can hold.
OURS = (pack.TO_DO, pack.LOCK, pack.WHOLE, PARTS, growth.UNFINISHED_PARTS)
HELP = "; ".join(f"{name}: {way.help}" for name, way in LAYOUTS.items())


@dataclass(frozen=True)
class Ready:
    """Pictures in the order of the dataset that they become."""

    items: Sequence[Item]
    names: Sequence[str]
    shape: Shape
    labels: LabelRows | None
    notes: Sequence[str]  # for the person who runs it
    dataset: Path | None = None  # what holds the pictures, where they are no files


def chosen_layout(source: Path, out: Path, asked: str | None) -> str:
    """The layout that is asked for, or the one that both paths suggest.

    Raises SettingsError where `out` cannot be made in it.
    """
    check_free(out)
    if len(os.fsencode(out.name)) > LONGEST:
        raise SettingsError(f"{out}: its files need room for more: give a shorter name")
    if not source.exists():
        raise SettingsError(f"{source} is not there: give a folder of pictures, or a dataset")
    chosen = asked or by_suffix(out) or ("pictures" if is_dataset(source) else "nvlabs")
    check_suffix(out, chosen)
    return chosen


def check_free(out: Path) -> None:
    """Raise SettingsError where `out` is there, or what is not ours is where it would be made."""
    if out.exists():
        raise SettingsError(f"{out} exists already: remove it, or give another name")
    folder = pack.unfinished(out)
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        raise SettingsError(f"{folder} is in the way: move it away, or give another name")
    there = sorted(os.listdir(folder))
    others = [name for name in there if not (name in OURS or files.PARTIAL.fullmatch(name))]
    if others or (there and not {pack.TO_DO, pack.LOCK} & set(there)):
        raise SettingsError(
            f"{folder} is in the way, and no unfinished export, as it holds"
            f" {[*others, *there][0]}: move it away, or give another name"
        )


@contextmanager
def made_alone(out: Path) -> Iterator[None]:
    """Hold off other commands that would make `out`; raises SettingsError as `check_free` does.

    The lock lies with what is unfinished, and goes with it.
    """
    check_free(out)
    folder = pack.unfinished(out)
    busy = SettingsError(f"{out} is being made by another command: wait for it, or stop it")
    with files.alone(folder / pack.LOCK, busy, say):
        try:
            check_free(out)  # another may have made it meanwhile
            yield
        finally:
            if folder.is_dir() and os.listdir(folder) == [pack.LOCK]:
                shutil.rmtree(folder)


def pack_ready(
    ready: Ready, out: Path, chosen: str, on: EngineConfig, progress: Progress, pixels: str = ""
) -> list[str]:
    """Make `out` in a layout of LAYOUTS; returns notes for the person who runs it.

    Raises ExportError with the way out, or SettingsError for pixels that cannot be held so.
    """
    out, layout = out.absolute(), LAYOUTS[chosen]
    name = out.stem if layout.suffix else out.name
    content, held = Content(ready.items, ready.labels), held_pixels(ready, chosen, pixels)
    more = {"exact": True, "dataset": ready.dataset, "pixels": held}
    plan = pack.plan_of(content, layout, name, ready.shape, **more)
    with made_alone(out):
        whole = pack.pack_all(content, plan, layout, out, out.parent, on, progress) / name
        layout.finish(whole, plan, ready.labels)
        if layout.suffix:
            whole = whole / f"{name}{layout.suffix}"
        elif chosen in export.LAYOUTS:
            classes = ready.labels.shape[1] if ready.labels is not None else 0
            numbers = [str(number) for number in range(classes)] or None
            names = [columns.array([*map(in_text, ready.names)])]
            export.describe(whole, plan, export.LAYOUTS[chosen], names, numbers, {})
        finished.put_in_place(whole, out)
        pack.clear(out)
    return [*ready.notes, *layout.notes(ready.shape)]


def held_pixels(ready: Ready, chosen: str, asked: str) -> str:
    """How a layout holds these pictures: JPEGs as they are, where it can, all else as PNG."""
    layout = LAYOUTS[chosen]
    if asked and asked not in layout.pixels:
        raise SettingsError(
            f"--pixels {asked}: layout {chosen} has {' or '.join(layout.pixels)}: leave it out"
        )
    if asked == "jpeg" and ready.shape[0] == 4:
        raise SettingsError("--pixels jpeg: JPEG has no transparency; give png or raw")
    if asked:
        return asked
    if "png" not in layout.pixels:
        return layout.pixels[0]
    jpegs = not ready.dataset and all(is_jpeg(item.path.name) for item in ready.items)
    return "jpeg" if jpegs and "jpeg" in layout.pixels else "png"


def is_jpeg(name: str) -> bool:
    return name.lower().endswith((".jpg", ".jpeg"))


def by_suffix(out: Path) -> str:
    """The layout whose file `out` is by its name."""
    return next((n for n, way in LAYOUTS.items() if out.suffix.lower() == way.suffix != ""), "")


def check_suffix(out: Path, layout: str) -> None:
    """Raise SettingsError where the layout makes a folder and `out` says a file, or otherwise."""
    suffix, said = LAYOUTS[layout].suffix, by_suffix(out)
    if suffix and said != layout:
        raise SettingsError(
            f"{out}: layout {layout} makes one file: call it {out.name}{suffix}, or give another"
            " layout"
        )
    if said and not suffix:
        raise SettingsError(
            f"{out}: layout {layout} makes a folder: leave out {out.suffix}, or take layout {said}"
        )


def pictures_at(source: Path, pixel_limit: int) -> Ready:
    """The pictures of a flat folder or of a dataset; raises a Refusal that names what is wrong."""
    return dataset_at(source) if is_dataset(source) else folder_at(source, pixel_limit)


def is_dataset(source: Path) -> bool:
    """Whether it is records, a zip, or a zip unpacked; a folder with pictures in itself is none."""
    if not source.is_dir():
        return source.suffix.lower() in (".tfrecords", ".zip")
    if any(map(is_picture, files_of(source))):
        return False
    packed = with_suffix(source, ".tfrecords") or with_suffix(source, ".zip")
    return bool(packed) or (source / unpacked.FIRST).is_dir()


def dataset_at(source: Path) -> Ready:
    """The pictures of a dataset, in its order, with its labels."""
    found = pack.open_dataset(source)
    height, width, channels = found.shape
    if channels not in pack.MODES:
        raise SettingsError(f"{source}: its pictures have {channels} channels: give 1, 3 or 4")
    loose = isinstance(found, Pictures) and isinstance(found.store, FolderStore)
    numbers = [str(number) for number in range(len(found))]
    names = found.names if isinstance(found, Pictures) else numbers
    return Ready(
        items_of([found.path / name if loose else found.path for name in names]),
        names,
        (channels, height, width),
        found.labels if found.labels.shape[1] else None,
        found.notes,
        None if loose else source.absolute(),
    )


def folder_at(folder: Path, pixel_limit: int) -> Ready:
    """The pictures of a flat folder in dataset_tool's order; the first by name says their shape."""
    items, notes = listed(folder)
    shape = shape_of(items[0], pixel_limit)
    labels, more = labels_beside(folder, [item.path.name for item in items])
    order = shuffled(len(items))
    ordered = [items[index] for index in order]
    return Ready(
        ordered,
        [item.path.name for item in ordered],
        shape,
        None if labels is None else labels[order],
        [*notes, *more],
    )


def labels_beside(folder: Path, names: Sequence[str]) -> tuple[LabelRows | None, list[str]]:
    """What ada-pytorch's dataset.json in the folder says of these pictures, if there is one."""
    if not (folder / finished.DESCRIPTION).is_file():
        return None, []
    rows, notes = read_labels(FolderStore(folder), names)
    return (rows if rows.shape[1] else None), notes


def listed(folder: Path) -> tuple[list[Item], list[str]]:
    """The pictures by file name, and a note about what else is there."""
    if not folder.is_dir():
        raise SettingsError(
            f"{folder} is no folder: give the folder that holds the pictures, or a dataset"
        )
    found = files_of(folder)
    pictures = [path for path in found if is_picture(path)]
    known = {finished.DESCRIPTION, *(path.name for path in pictures)}
    others = [path.name for path in found if path.name not in known]
    below = pictures_below(folder)
    deeper = f"{len(below)} pictures are in folders below, {below[0]!r} the first" if below else ""
    if not pictures:
        raise SettingsError(
            f"{folder} holds no picture{' itself' * bool(below)}: give the folder that holds the"
            f" pictures{f'; {deeper}' if deeper else ''}"
        )
    items = items_of([path.absolute() for path in pictures])
    notes = [f"{deeper}, and left out"] if deeper else []
    if others:
        notes.append(f"{len(others)} files are hidden or no pictures, {others[0]!r} the first")
    return items, notes


def pictures_below(folder: Path) -> list[str]:
    """The pictures in folders below; none where one of those is closed, which is no matter here."""
    try:
        return [name for name in photos(folder) if "/" in name]
    except OSError:
        return []


def files_of(folder: Path) -> list[Path]:
    """The files in the folder itself, by name."""
    found = (path for path in folder.iterdir() if path.is_file())
    return sorted(found, key=lambda path: path.name)


def items_of(paths: Sequence[Path]) -> list[Item]:
    """An item for each picture, whose file this is or which is in it."""
    items = []
    for number, path in enumerate(paths):
        seen = os.stat(path)
        key = f"{number:08}"  # not the name, which may hold bytes that are no text
        items.append(Item(key, Row(key), path.absolute(), seen.st_size, seen.st_mtime_ns))
    return items


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
