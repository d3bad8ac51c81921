"""`python -m pipeline`: run, source, status, review, report, verify, gc, records, project ..."""

import argparse
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path

import luigi
from luigi.configuration import get_config
from luigi.rpc import RPCError

from atelier.commands import ANEW, Parser, path, run_command, said
from pipeline import options, tasks
from pipeline.dataset import ready
from pipeline.engine import lock, processes
from pipeline.engine.crew import EngineConfig
from pipeline.engine.progress import Bar
from pipeline.luigi_script import KEPT, sentences, task_of, tell_dataset
from pipeline.options import SettingsError, current
from pipeline.report import chapters
from pipeline.report.funnel import shortened
from pipeline.review import exchange, session
from pipeline.rows import parquet, shards
from pipeline.rows.manifest import facts
from pipeline.rows.memo import KILLED
from pipeline.stage import Stage, Step, store
from pipeline.stages.ingest import IngestConfig
from pipeline.train import projection, stylegan
from pipeline.train import tasks as trainers
from pipeline.upkeep import garbage, verify
from training.exchange.naming import add_model
from training.explore.commands import add_projection

FAILED = ("FAILED", "FAILED_AND_SCHEDULING_FAILED", "SCHEDULING_FAILED")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. What a person did wrong is said in one sentence.

    What its line sets is for it alone, and it sees what has changed since the one before.
    """
    with options.apart():
        return run_command(parser, arguments, KEPT, set_options)


def parser() -> Parser:
    """All commands and their own options."""
    top = Parser(
        prog="python -m pipeline",
        description="From a folder of photos to a StyleGAN2 dataset. Every option of luigi.cfg can"
        " be given as --Section-option VALUE.",
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, function: Callable[[argparse.Namespace], int], help: str
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help, description=help, elsewhere=options.names())
        made.set_defaults(command=function)
        return made

    trainings = "TrainStyleGAN, DistillStyleGAN, TrainCropDetector"
    for like_run in (
        command("run", run, "build a task and all that it needs; what is done is not redone"),
        command("source", source, "say where run, given the same words, takes its photos from"),
    ):
        like_run.add_argument(
            "task", nargs="?", default="Dataset", help=f"Dataset, {trainings}, or a stage [Dataset]"
        )
        like_run.add_argument(
            "--retry", action="store_true", help="try photos again that killed a worker"
        )
        like_run.add_argument("--rescan", action="store_true", help="read all source files again")
    command("status", status, "say what is done and what is open; runs nothing")
    command("report", report, "write the report of what is done")
    gc = command("gc", collect_garbage, "list results that no recipe reaches")
    keep = "a further luigi.cfg; of the photos of this command where it names none"
    gc.add_argument("--keep", action="append", default=[], type=path, help=keep)
    gc.add_argument("--delete", action="store_true", help="delete them after listing")
    check = command("verify", verify_store, "read every file of the store: is it as written?")
    check.add_argument("--repair", action="store_true", help="make again what is damaged")
    review_ = command("review", review, "accept, mend or refuse every portrait in a window")
    review_.add_argument(
        "--order",
        nargs="+",
        default=["unsure"],
        metavar="WORD",
        help="unsure (least sure first), random, or reasons of Crop: only those photos [unsure]",
    )
    review_.add_argument("--reasons", nargs="+", metavar="WORDS", help="what the digits refuse for")
    either = review_.add_mutually_exclusive_group()
    either.add_argument("--export", type=path, help="write what is accepted: *.csv, or a folder")
    either.add_argument("--import", type=path, dest="bring_in", help="accept what a file says")
    add_packing(command("records", pack_records, "pack ready pictures, or lay out a dataset anew"))
    add_project(command("project", projection.project_photo, "find a portrait in a generator"))
    sample = command("sample", draw_sample, "draw a sample source folder")
    sample.add_argument("folder", type=path, help="where to draw it")
    add_table(command("options", print_options, "print docs/options.md"))
    return top


def add_table(table: argparse.ArgumentParser) -> None:
    """Which of the two views of all options is printed."""
    table.add_argument("--cfg", action="store_true", help="print luigi.cfg instead")


def add_packing(records: argparse.ArgumentParser) -> None:
    """Which pictures become which dataset."""
    records.add_argument("source", type=path, help="a folder of pictures, or a dataset")
    records.add_argument("out", type=path, help="a folder, or a file *.zip")
    records.add_argument(
        "--layout",
        choices=list(ready.LAYOUTS),
        help=f"{ready.HELP}; else zip for OUT.zip, pictures of a dataset, nvlabs of pictures",
    )
    records.add_argument(
        "--pixels",
        choices=list(ready.PIXELS),
        default="",
        help="how layout sharded holds a picture; else JPEGs as they are, others as PNG",
    )


def add_project(project: argparse.ArgumentParser) -> None:
    """What is asked of a projection: the photo, and the options of training's own."""
    project.set_defaults(stopped=ANEW)
    project.add_argument("photo", type=path, help="one photo, as a camera made it")
    add_model(project)
    add_projection(project)


def set_options(words: Sequence[str]) -> list[str]:
    """Set what is given as `--Section-option VALUE` or `...=VALUE`; returns the other words."""
    others, rest = [], iter(words)
    for word in rest:
        if not (word.startswith("--") and word[2:3].isupper()):
            others.append(word)
            continue
        name, equals, value = word.removeprefix("--").partition("=")
        given = value if equals else next(rest, "--")
        if given.startswith("--") and not equals:
            raise SettingsError(f"--{name}: give a value")
        options.set_option(name, given)
    options.check_recipe()
    return others


def run(given: argparse.Namespace) -> int:
    """Build the task; at the end print the funnel and where the report is."""
    wanted = task_of(given.task, [*tasks.TASKS, *trainers.TASKS])
    task = wanted()
    hold_store(lambda: given.rescan or given.retry or not task.complete())
    if given.rescan:
        forget_scan(tasks.Ingest())
    if given.retry:
        forget_killed()
    if not task.complete():
        code = build_task(task)
        if code:
            return code
    if isinstance(task, tasks.Dataset):
        tell_dataset()
    drawing = (trainers.TrainStyleGAN, trainers.DistillStyleGAN)
    if isinstance(task, drawing) and (grid := task.grid()):
        print(grid)
    return 0


def hold_store(writes: Callable[[], bool]) -> None:
    """Take the store's lock; one that cannot be written is an error where a command `writes`."""
    try:
        lock.hold(store())
    except OSError:
        if writes():
            raise


def source(_: argparse.Namespace) -> int:
    """Print the folder of photos; an empty line where none is named and the store has no raw/."""
    ingest = tasks.Ingest()
    folder = ingest.photo_folder.root
    print(folder if ingest.config.source or Path(str(folder)).exists() else "")
    return 0


def build_task(task: luigi.Task) -> int:
    """Let Luigi build it; returns 0, or the exit code after saying why."""
    processes.check_semaphores()  # Luigi makes some itself
    if threading.current_thread() is not threading.main_thread():  # where Luigi hears no signal
        get_config().set("worker", "no_install_shutdown_handler", "true")
    with sentences() as told:
        try:
            result = luigi.build([task], log_level="WARNING", detailed_summary=True)
        except RPCError:
            return told.tell()
    if result.scheduling_succeeded:
        return 0
    if told.code or result.status.name in FAILED:  # the latter was said by a process of Luigi's
        return told.tell() or 1
    return said("error: Luigi's scheduler gave the task to nobody: is another command at it?", 1)


def forget_scan(ingest: Step) -> None:
    """Let Ingest read every file again."""
    shutil.rmtree(ingest.folder / parquet.PARTS, ignore_errors=True)
    shards.forget_made(ingest.folder)


def forget_killed() -> None:
    """Let photos that killed their worker be tried again."""
    for part in store().glob(f"*/*/parts/{KILLED}*.parquet"):
        shards.forget_made(part.parent.parent)
        part.unlink()


def status(_: argparse.Namespace) -> int:
    """A line per stage: done, open, kept, and why rows were dropped; and a line per run."""
    steps: list[Step] = []
    for stage in [*tasks.of_reference(), *tasks.in_use()]:
        steps += tasks.detects(stage.photos) if isinstance(stage, tasks.Detect) else [stage]
    lines = [(step.title, state(step)) for step in steps]
    lines += [(copy.title, copy.state()) for copy in tasks.Publish.asked_for()]
    lines += stylegan.tell_runs(store())
    width = max(len(title) for title, _ in lines)
    for title, story in lines:
        print(f"{title:{width}}  {story}")
    crop = tasks.Crop()
    for note in facts(crop.path).notes if crop.complete() else []:
        print(f"Crop: {note}")
    return 0


def state(stage: Step) -> str:
    """Where a stage stands."""
    if stage.complete():
        return f"done  {outcome_in_words(Counter(facts(stage.path).outcome))}"
    if not all(before.complete() for before in stage.before()):
        return "waits for the stages before it"
    if not isinstance(stage, Stage):
        return "open"
    done, left = stage.progress()
    return f"open  {left} of {left + done.total()} rows to do; {outcome_in_words(done)}"


def outcome_in_words(outcome: Counter[str]) -> str:
    """Counts in words: kept, dropped, and each reason."""
    kept = outcome.pop("kept", 0)
    reasons = "".join(f"; {count} {reason}" for reason, count in shortened(outcome).items())
    return f"{kept} kept, {outcome.total()} dropped{reasons}"


def report(_: argparse.Namespace) -> int:
    """Tell of the stages that are complete; a finished run has its report already."""
    steps = list(takewhile(lambda step: step.complete(), tasks.in_use()))
    if not steps:
        raise SettingsError("nothing is done yet: python -m pipeline run begins")
    page = tasks.Report()
    path = page.path if page.complete() else page.folder / "unfinished.html"
    if not page.complete():
        chapters.write_report(path, steps, page.config)
    print(path)
    return 0


def review(given: argparse.Namespace) -> int:
    """Find the portraits if that is still to do, then let a person decide."""
    if given.export:
        exchange.check_export(given.export)
    elif given.bring_in:
        exchange.check_import(given.bring_in)
    else:
        session.check_screen()
    finding = tasks.Crop()
    hold_store(lambda: not (given.export and finding.complete()))
    if not finding.complete() and (code := build_task(finding)):
        return code
    lock.release(store())
    sitting = session.Sitting(
        store(),
        finding.incoming(),
        finding.places.rows(),
        finding.recipe,
        finding.photo_folder.read,
    )
    if given.export:
        print(session.export(sitting, given.export))
    elif given.bring_in:
        print(*session.bring_in(sitting, given.bring_in), sep="\n")
    else:
        print(session.look_through(sitting, given.order, given.reasons))
    return 0


def collect_garbage(given: argparse.Namespace) -> int:
    check_there(store())
    hold_store(lambda: given.delete)
    return garbage.garbage(store(), given.keep, given.delete)


def check_there(store: Path) -> None:
    """Raise SettingsError for a store that nothing was written to: its name may be misspelt."""
    if not store.is_dir():
        raise SettingsError(f"[Store] root = {store}: there is no such store")


def verify_store(given: argparse.Namespace) -> int:
    check_there(store())
    hold_store(lambda: given.repair)
    return verify.verify(store(), given.repair, lambda: build_task(tasks.Dataset()))


def pack_records(given: argparse.Namespace) -> int:
    layout = ready.chosen_layout(given.source, given.out, given.layout)
    limit, on = current(IngestConfig).pixel_limit, current(EngineConfig)
    found = ready.pictures_at(given.source, limit)
    with Bar("records", len(found.items), lambda *_: None, "pictures") as bar:
        notes = ready.pack_ready(found, given.out, layout, on, bar.advance, given.pixels)
    print(*notes, given.out, sep="\n")
    return 0


def draw_sample(given: argparse.Namespace) -> int:
    from pipeline import sample

    sample.draw(given.folder)
    print(given.folder)
    return 0


def print_options(given: argparse.Namespace) -> int:
    print(options.as_cfg() if given.cfg else options.as_markdown(), end="")
    return 0
