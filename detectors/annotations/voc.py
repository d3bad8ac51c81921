"""Pascal-VOC XML, one file per photo, as LabelImg writes it."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, repeat
from pathlib import Path, PurePosixPath

from atelier import files
from atelier.listing import is_hidden, with_suffix
from atelier.names import in_one_form, name_key
from detectors.annotations.photo import EDGES, Annotated, AnnotationError, Entry, counted_from_1
from detectors.annotations.sizes import PhotoSizes

ENDS = {b"<!--": b"-->", b"<![CDATA[": b"]]>"}
LANDMARK = re.compile(rb"<!--|<!\[CDATA\[|<object[\s>]")
NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
DATABASE = "Atelier"  # the <database> of files written here; LabelImg makes it "Unknown"


def write_voc(folder: Path, photos: Iterable[Annotated]) -> None:
    """One XML file per photo, named as the photo is: a/b.jpg becomes a/b.xml.

    Files of an earlier writing are replaced, and go where their photo is not written again.
    Raises AnnotationError, before anything is written, for two photos that differ in the suffix
    only, a hidden one, and a folder with XML files that were not written here.
    """
    named: dict[Path, Annotated] = {}
    for photo in photos:
        path = folder / PurePosixPath(photo.filename).with_suffix(".xml")
        if is_hidden(photo.filename):
            raise AnnotationError(f"{path} would be hidden, and read by nobody: write CSV")
        if path in named:
            raise AnnotationError(
                f"{named[path].filename} and {photo.filename} would share {path}: rename one of the"
                " photos, or write CSV"
            )
        named[path] = photo
    earlier = own_files(folder)
    for path, photo in named.items():
        write_tree(path, voc_tree(photo))
    for path in earlier - named.keys():
        path.unlink()


def own_files(folder: Path) -> set[Path]:
    """The XML files of an earlier writing; raises AnnotationError where there are others."""
    mark = f"<database>{DATABASE}</database>".encode()
    files = set(with_suffix(folder, ".xml", deep=True)) if folder.exists() else set()
    strange = sorted(file for file in files if mark not in file.read_bytes())
    if strange:
        raise AnnotationError(
            f"{folder} holds {len(strange)} XML files that a person or another program wrote, as"
            f" {strange[0].relative_to(folder)}: name another folder, or move them"
        )
    return files


def write_tree(path: Path, tree: ElementTree.Element) -> None:
    ElementTree.indent(tree, "\t")
    files.write(path, ElementTree.tostring(tree, encoding="utf-8") + b"\n")


def voc_tree(photo: Annotated) -> ElementTree.Element:
    name = PurePosixPath(photo.filename)
    tree = ElementTree.Element("annotation")
    add(tree, folder=name.parent.name, filename=name.name, path=photo.filename)
    add(ElementTree.SubElement(tree, "source"), database=DATABASE)
    size = ElementTree.SubElement(tree, "size")
    add(size, width=photo.width, height=photo.height, depth=3)
    add(tree, segmented=0)
    for each in photo.boxes:
        thing = ElementTree.SubElement(tree, "object")
        add(thing, name=each.label, pose="Unspecified", truncated=0, difficult=0)
        edges = dict(zip(EDGES, counted_from_1(each.box), strict=True))
        add(ElementTree.SubElement(thing, "bndbox"), **edges)
    return tree


def add(element: ElementTree.Element, **texts: object) -> None:
    for tag, text in texts.items():
        ElementTree.SubElement(element, tag).text = NO_XML.sub("?", str(text))


def voc_entries(
    folder: Path, sizes: PhotoSizes | None, warn: Callable[[str], None]
) -> Iterator[Entry]:
    """The objects of all XML files below `folder`, found by their tags in any order."""
    files = with_suffix(folder, ".xml", deep=True)
    if not files:
        raise AnnotationError(
            f"{folder}: no XML file in it; name a folder of Pascal-VOC files, a CSV table or COCO's"
            " .json"
        )
    others = 0
    for file in files:
        data = file.read_bytes()
        try:
            tree = ElementTree.fromstring(data)
        except (ElementTree.ParseError, LookupError, ValueError) as error:  # of its encoding, too
            raise AnnotationError(f"{file}: no XML ({error}); save it again in LabelImg") from None
        if tree.tag.lower() != "annotation":
            warn(f"{file} is no Pascal VOC, but <{tree.tag[:80]}>; left out")
            others += 1
            continue
        filename = photo_of(file, file.relative_to(folder), tree, sizes, warn)
        size = tag_text(tree, "size/width"), tag_text(tree, "size/height")
        places = chain(object_lines(data), repeat(1))  # there are no lines to count in UTF-16
        things = tree.findall("object")
        if not things:
            yield Entry(f"{file} line 1", filename, size, "", ("", "", "", ""))
        for thing, line in zip(things, places, strict=False):
            edges = tuple(tag_text(thing, f"bndbox/{name}") for name in EDGES)
            label = in_one_form(tag_text(thing, "name"))
            yield Entry(f"{file} line {line}", filename, size, label, edges, turn_of(thing))
    if others == len(files):
        raise AnnotationError(
            f"{files[0]} is no Pascal VOC, but <{tree.tag[:80]}>: export it as that, COCO or CSV"
        )


def turn_of(thing: ElementTree.Element) -> str:
    """The degrees by which CVAT's box is turned: its edges are those of the box before."""
    told = thing.find("attributes/attribute[name='rotation']")
    return "" if told is None else tag_text(told, "value")


def tag_text(tree: ElementTree.Element, tag: str) -> str:
    return (tree.findtext(tag) or "").strip()


def object_lines(data: bytes) -> list[int]:
    """The line on which each `<object>` begins, comments and CDATA aside; in linear time."""
    lines, line, at, counted_to = [], 1, 0, 0
    while found := LANDMARK.search(data, at):
        if end := ENDS.get(found[0]):
            at = data.find(end, found.end())
            if at < 0:
                break
            continue
        line += data.count(b"\n", counted_to, found.start())
        counted_to, at = found.start(), found.end()
        lines.append(line)
    return lines


def photo_of(
    file: Path,
    name: Path,
    tree: ElementTree.Element,
    sizes: PhotoSizes | None,
    warn: Callable[[str], None],
) -> str:
    """The photo that an XML file is about: the one of its own name, whatever `<filename>` says."""
    said = PurePosixPath(name_key(tag_text(tree, "filename"))).name
    own = PurePosixPath(name.as_posix())
    same = PurePosixPath(said).stem == name_key(own.stem).strip()
    matching = [own.with_suffix(PurePosixPath(said).suffix)] if same else []
    if sizes:
        matching += sizes.of_stem(str(own.with_suffix("")))
        there = [str(path) for path in matching if str(path) in sizes]
        found = there[0] if there else str(own.with_name(said or own.stem))
    else:
        suffix = PurePosixPath(said).suffix or ".jpg"
        found = str(matching[0] if matching else own.with_suffix(suffix))
    if name_key(PurePosixPath(found).name).strip() != said:
        warn(f"{file}: <filename> is {said!r}; taken as {found!r}, by its own name")
    return found
