"""Commands called from Python, as a notebook does: in any thread, beside a loop, one by one."""

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
import tensorflow as tf

from atelier import commands, stop
from detectors.learning import cli as detectors_cli
from pipeline import cli as pipeline_cli
from pipeline.engine import cluster
from tests.kit.command_lines import CLIS
from tests.kit.commands import settings_of_its_own, words_of
from tests.kit.store import photo, save


def in_a_thread(function):
    """What it returns in a thread that is not the main one; raises what it raises."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(function).result()


def beside_a_loop(function):
    """What it returns where an asyncio loop runs, as in a notebook."""

    async def called():
        return function()

    return asyncio.run(called())


everywhere = pytest.mark.parametrize("called", [in_a_thread, beside_a_loop])


@everywhere
@pytest.mark.parametrize("package", CLIS)
def test_every_package_answers_wherever_it_is_called(package, called, capsys):
    for _ in range(2):
        assert called(lambda: CLIS[package].main(["no-such-command"])) == 2
        assert capsys.readouterr().err.count("error: ") == 1
        assert called(lambda: CLIS[package].main(["--help"])) == 0
        assert "usage:" in capsys.readouterr().out


@pytest.mark.parametrize(
    "listening", [stop.heard, stop.later, stop.Interruption, lambda: stop.listening(print)]
)
def test_another_thread_hears_no_signal_and_changes_none(listening):

    def heard_by():
        return [signal.getsignal(number) for number in stop.SIGNALS]

    def within():
        with listening():
            return heard_by()

    assert in_a_thread(within) == heard_by()


def test_what_one_command_sets_the_next_does_not_know(tmp_path, capsys):
    (tmp_path / "one").mkdir()
    with settings_of_its_own():
        pipeline_cli.main(["source"])
        own = capsys.readouterr().out
        assert pipeline_cli.main(["source", "--Ingest-source", str(tmp_path / "one")]) == 0
        assert capsys.readouterr().out == f"{tmp_path / 'one'}\n"
        assert pipeline_cli.main(["source", "--Crop-max-faces", "many"]) == 2
        pipeline_cli.main(["source"])
        assert capsys.readouterr().out == own


@pytest.mark.slow
@everywhere
def test_a_run_sees_what_changed_since_the_one_before(tmp_path, called, capsys):
    """Another store, other options, more photos: never the tasks of before."""
    save(tmp_path / "photos" / "a.png", photo(1, [(60, 40, 22)]))

    def run(store, **more):
        assert (
            called(lambda: pipeline_cli.main(words_of(tmp_path, "run", store=store, **more))) == 0
        )
        return (tmp_path / store / "dataset").resolve()

    with settings_of_its_own():
        first, other = run("first"), run("other")
        assert first.parts[-3:] == other.parts[-3:] and first != other
        assert (other / "dataset-r06.tfrecords").stat().st_size > 0
        small = run("first", Dataset_size=32)
        assert not (small / "dataset-r06.tfrecords").exists()
        assert run("first") == first
        save(tmp_path / "photos" / "b.png", photo(2, [(50, 44, 20)]))
        assert run("first") != first
    assert "error" not in capsys.readouterr().err


@pytest.mark.slow
@everywhere
def test_a_scheduler_is_asked_wherever_a_command_is_called(called):
    with pytest.raises(cluster.MachineError, match="no Dask scheduler answers at tcp"):
        called(lambda: cluster.check_scheduler("tcp://127.0.0.1:9", 0.3))


def test_what_tensorflow_settles_once_is_a_sentence(monkeypatch, capsys):
    """A notebook has computed with other threads than a command asks for; 0 takes what there is."""
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", int)
    tf.constant(0)
    others = tf.config.threading.get_intra_op_parallelism_threads() + 1
    detectors_cli.set_up(0)

    def command():
        detectors_cli.set_up(others)
        return 0

    assert commands.answered(command, "") == 1
    assert capsys.readouterr().err == f"error: {commands.RUNS_ALREADY}\n"
