"""One way to compare the names of files and classes, whoever wrote them down."""

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath


def matched(said: Iterable[str], names: Iterable[str]) -> dict[str, list[str]]:
    """What people wrote -> the names that exist and are meant: one, several, or none.

    The very name counts before its key, and that before what names share without capitals,
    suffix or folder. What one person wrote as it is, is meant by nobody who wrote another name.
    """
    wanted, there = list(dict.fromkeys(said)), list(dict.fromkeys(names))
    groups = grouped(name_key, there)
    found = {each: groups.get(name_key(each), []) for each in wanted}
    found = {each: [each] if each in same else same for each, same in found.items()}
    taken = {name for same in found.values() for name in same}
    rest = [name for name in there if name not in taken]
    for key_of in LOOSER:
        open_ones = [each for each in wanted if not found[each]]
        if not open_ones or not rest:
            break
        groups, askers = grouped(key_of, rest), Counter(map(key_of, wanted))
        for each in open_ones:
            alike = groups.get(key_of(each), [])
            near = [name for name in alike if is_end(stem(name), stem(each))]
            found[each] = near or (alike if askers[key_of(each)] == 1 else [])
    return found


def name_key(name: str) -> str:
    """The name as every table, list and archive has it: NFC, `/` between folders, no `./`."""
    plain = in_one_form(name.replace("\\", "/"))
    return str(PurePosixPath(plain)) if plain else ""


def caseless(name: str) -> str:
    """The key of a name without its capitals."""
    return in_one_form(name_key(name).casefold())


def in_text(name: str | bytes) -> str:
    """The name of a file as text, whatever its bytes are."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def in_one_form(text: str) -> str:
    """The words in the Unicode form NFC: a Mac takes names of folders apart, others do not."""
    return unicodedata.normalize("NFC", text)


def stem(name: str) -> str:
    """The key of a name without its capitals and its last suffix."""
    path = PurePosixPath(caseless(name))
    return str(path.with_name(path.stem)) if path.stem else str(path)


def own_name(name: str) -> str:
    """The key of a name without its folders."""
    return PurePosixPath(name_key(name)).name


# The surest first.
LOOSER: tuple[Callable[[str], str], ...] = (
    caseless,
    stem,
    own_name,
    lambda name: own_name(caseless(name)),
    lambda name: own_name(stem(name)),
)


def grouped(key_of: Callable[[str], str], names: Iterable[str]) -> dict[str, list[str]]:
    groups = defaultdict(list)
    for name in names:
        groups[key_of(name)].append(name)
    return groups


def is_end(one: str, other: str) -> bool:
    """Whether the shorter of two paths is the end of the longer one: IMG_1 of photos/IMG_1."""
    parts = [path.split("/") for path in (one, other)]
    shared = min(map(len, parts))
    return parts[0][-shared:] == parts[1][-shared:]
