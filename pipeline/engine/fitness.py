"""Which workers may work: those that have this run's software and see its folders."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from atelier import files
from pipeline.engine import cluster, software
from pipeline.engine.software import Software
from pipeline.engine.unit import Unit
from pipeline.rows.manifest import Far, Place

if TYPE_CHECKING:
    from distributed import Client, Future

SIGHT = "mount it there at that path"


class UnfitError(Exception):
    """This worker may do nothing of the run; its arguments are its address, and why."""


@dataclass(frozen=True)
class Terms:
    """What a run asks of every worker."""

    software: Software
    store: Path
    photos: Place
    mark: Path  # a file that lies in the store while the run works

    def lacking(self) -> str:
        """What keeps this process from working, in words; nothing where it may."""
        if differing := software.unlike(software.installed(), self.software):
            return f"has {differing}: install there what is here"
        if not self.mark.is_file():
            return f"does not see {self.store}: {SIGHT}"
        return unseen(self.photos)


def unseen(photos: Place) -> str:
    """Why this process cannot read from where photos lie, in words; nothing where it can."""
    if isinstance(photos, Far):
        return photos.unseen()
    return "" if holds_anything(Path(str(photos))) else f"does not see {photos}: {SIGHT}"


def holds_anything(folder: Path) -> bool:
    """Whether there is a folder with something in it: one where a mount is missing is empty."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


@contextmanager
def terms(store: Path, photos: Place) -> Iterator[Terms]:
    """The terms of a run on this store, with its mark; `photos` counts where it is a folder.

    The mark of a run that was killed goes as what it left half-written does.
    """
    store.mkdir(parents=True, exist_ok=True)
    mark = files.partial_of(store / f"mark-{uuid.uuid4().hex}")
    mark.touch()
    try:
        seen = store if unseen(photos) else photos
        yield Terms(software.installed(), store, seen, mark)
    finally:
        mark.unlink(missing_ok=True)


def work(unit: Unit, terms: Terms) -> None:
    """Do a unit on a worker; raises UnfitError where it may not, or lost the store meanwhile."""
    refuse_unfit(terms)
    unit.run()
    refuse_unfit(terms)


def refuse_unfit(terms: Terms) -> None:
    from distributed import get_worker

    if lacking := terms.lacking():
        raise UnfitError(get_worker().address, lacking)


def unfit(client: "Client", terms: Terms, workers: list[str], seconds: float) -> dict[str, str]:
    """Those of the workers that may do nothing, each with the reason.

    One that does not answer within so many seconds is not among them: it may be busy, or frozen.
    """
    from distributed import wait

    asked = {
        worker: client.submit(Terms.lacking, terms, workers=[worker], pure=False, priority=1)
        for worker in workers
    }
    with client.as_current(), suppress(TimeoutError):
        wait(list(asked.values()), seconds)
    answers = {worker: answer(future) for worker, future in asked.items() if future.done()}
    return {worker: lacking for worker, lacking in answers.items() if lacking}


def answer(future: "Future") -> str:
    """What a worker says that it lacks; one that does not know the question has older code."""
    error = future.exception()
    if error is None:
        return str(cluster.result_of(future))
    unknown = isinstance(error, (ImportError, AttributeError))
    return "has code of another version: install there what is here" if unknown else ""
