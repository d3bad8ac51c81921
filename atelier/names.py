"""One way to compare the names of files, whoever wrote them down."""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath


def name_key(name: str) -> str:
    """The name as every table, list and archive has it: NFC, `/` between folders, no `./`."""
    plain = unicodedata.normalize("NFC", name.replace("\\", "/"))
    return str(PurePosixPath(plain)) if plain else ""


def caseless(name: str) -> str:
    return unicodedata.normalize("NFC", name_key(name).casefold())


def stem(name: str) -> str:
    """A caseless name without its last suffix."""
    path = PurePosixPath(caseless(name))
    return str(path.with_name(path.stem)) if path.stem else str(path)


# What two names may share, the surest first. From the fourth on the folder no longer counts.
LEVELS: tuple[Callable[[str], str], ...] = (
    name_key,
    caseless,
    stem,
    lambda name: PurePosixPath(name_key(name)).name,
    lambda name: PurePosixPath(caseless(name)).name,
    lambda name: PurePosixPath(stem(name)).name,
)


class Names:
    """Names that exist, to be found by what a person wrote."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)
        self.by_key: list[dict[str, list[str]]] = [defaultdict(list) for _ in LEVELS]
        for name in self.names:
            for key_of, known in zip(LEVELS, self.by_key, strict=True):
                known[key_of(name)].append(name)

    def meant(self, said: str) -> list[str]:
        """The one name that is meant; several where it is ambiguous; nothing where there is none.

        The very same name counts before its key, and that before what it shares with others.
        """
        if said in self.by_key[0].get(name_key(said), ()):
            return [said]
        for key_of, known in zip(LEVELS, self.by_key, strict=True):
            if found := known.get(key_of(said)):
                return found
        return []


def matched(said: Iterable[str], names: Iterable[str]) -> dict[str, list[str]]:
    """What people wrote -> the names that it means, as `Names.meant` says.

    A name that somebody wrote as it is, is meant by nobody who wrote another.
    """
    wanted, there = list(dict.fromkeys(said)), list(dict.fromkeys(names))
    known = Names(there)
    keys = set(map(name_key, there))
    sure = {each: known.meant(each) for each in wanted if name_key(each) in keys}
    taken = {name for found in sure.values() for name in found}
    rest = Names(name for name in there if name not in taken)
    return {each: sure[each] if each in sure else rest.meant(each) for each in wanted}
