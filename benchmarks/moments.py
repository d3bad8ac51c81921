"""Kills a small run before each thing that it alters on the disk, one after the other.

    python benchmarks/moments.py [--photos 4] [--layout nvlabs|zip|sharded] [--every 1]

A first run counts the moments: each file that is opened for writing, renamed, linked or removed,
each folder that is made or goes, in the store. Then SIGKILL meets a run at the first of them,
another at the second, and so on; each time the same command runs to its end afterwards. Its results
must be those of the undisturbed run, byte by byte, `verify` must find every file as it was written,
and nothing half-written may be left. Prints a line for each failure, and a table.
"""

import argparse
import os
import pickle
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

from benchmarks.kills import SMALL, tell, wrong
from tests.kit.commands import run
from tests.kit.store import photo, results, save

ALTERING = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=4)
    parser.add_argument("--layout", default="nvlabs", choices=("nvlabs", "zip", "sharded"))
    parser.add_argument("--every", type=int, default=1, help="only every so many moments")
    asked = parser.parse_args()
    options = {**SMALL, "ExportTFRecords_layout": asked.layout}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(asked.photos):
            save(folder / "photos" / f"{number}.png", photo(number, size=(400, 300)))
        moments = apart(counted, folder, "undisturbed", options, 0)
        whole = results(folder / "undisturbed")
        told = Counter[str]()
        for number in range(1, len(moments) + 1, asked.every):
            done = apart(counted, folder, "store", options, number)
            said = "it ran to its end" if done else apart(wrong, folder, whole, options)
            event = moments[number - 1][0]
            told[f"{event}: {'as it was' if said == '' else 'FAILED'}"] += 1
            if said != "":
                print(f"moment {number}, {moments[number - 1]}: {said}", flush=True)
            shutil.rmtree(folder / "store", ignore_errors=True)
            print(f"{number} of {len(moments)}", end="\r", file=sys.stderr, flush=True)
    tell("killed before", told)


def apart(work: Callable[..., Any], *given: Any) -> Any:
    """What a function returns in a process of its own; None where that is killed.

    A fork of this one, which has all modules loaded and runs no thread.
    """
    read, write = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            os.close(read)
            with os.fdopen(write, "wb") as pipe:
                pickle.dump(work(*given), pipe)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    if status and not killed:
        raise SystemExit(f"{work.__name__} failed")
    return None if killed else pickle.loads(told)


def counted(folder: Path, store: str, options: dict[str, Any], last: int) -> list[tuple[str, str]]:
    """Run the pipeline; what it altered in the store. At the alteration `last` it is killed."""
    moments, place = list[tuple[str, str]](), str(folder / store)

    def look(event: str, given: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(given[2], int) and given[2] & WRITING
        if not (writes or event in ALTERING):
            return
        path = given[0] if isinstance(given[0], (str, Path)) else ""
        if str(path).startswith(place):
            moments.append((event, str(path).removeprefix(place)))
            if len(moments) == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)
    done = run(folder, "run", store=store, **options)
    if done.returncode:
        raise SystemExit(done.stderr)
    return moments


if __name__ == "__main__":
    main()
