"""A trainer as a child process: what it says, how it ends, and that no end of ours leaves it."""

import signal
import subprocess
import sys
import time

import pytest

from atelier import stop
from pipeline.train import crop_detector, stylegan
from pipeline.train.child import TrainError
from tests.kit.commands import wait_for
from tests.kit.store import ROOT


def child(script, *words):
    """The command of a trainer that is a few lines."""
    return [sys.executable, "-c", script, *words]


def follow(script, room=stylegan):
    """Follow such a trainer of a room; returns what Luigi would show."""
    heard = []
    room.follow_trainer(child(script), lambda *said: heard.append(said))
    return heard


@pytest.mark.slow
@pytest.mark.parametrize(
    ("room", "line", "share"),
    [
        (stylegan, "1.5 of 160 kimg  49 min 49 s left  real +0.10", 0),
        (stylegan, "0.075 of 0.1 kimg  1 s left", 75),
        (crop_detector, "epoch 15 of 60: loss 1.0 + 2.0, mAP@0.5 0.5", 25),
    ],
)
def test_progress_is_read_from_the_status_line(capsys, room, line, share):
    assert follow(f"print('config'); print({line!r})", room) == [(line, share)]
    assert capsys.readouterr().out.splitlines() == ["config", line]


def test_what_is_no_text_is_told_as_it_came(capsys):
    assert follow(r"import os; os.write(1, b'caf\xe9\n')") == []
    assert capsys.readouterr().out.splitlines() == [r"caf\xe9"]


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("print('collapsed at 3 kimg: jump'); sys.exit(3)", "^training collapsed at 3 kimg: jump;"),
        ("sys.exit(3)", "^training collapsed; its checkpoints are kept: lower g_lr"),
    ],
)
def test_a_collapse_is_one_sentence(end, said):
    with pytest.raises(TrainError, match=said):
        follow(f"import sys; {end}")


@pytest.mark.parametrize("room", [stylegan, crop_detector])
@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("print('error: data is empty', file=sys.stderr); sys.exit(2)", "^data is empty$"),
        ("print('error: labels is empty', file=sys.stderr); sys.exit(2)", "^labels is empty$"),
        ("os.kill(os.getpid(), 15)", "somebody stopped the trainer; the same command goes on"),
        ("sys.exit(130)", "somebody stopped the trainer; the same command goes on"),
        ("sys.exit(1)", "failed with exit code 1; its last words are above"),
        ("os.kill(os.getpid(), 9)", "killed by signal 9 .*smaller batch"),
    ],
)
def test_every_other_end_is_one_sentence(end, said, room):
    with pytest.raises(TrainError, match=said):
        follow(f"import os, sys; {end}", room)


ANSWERS_ONCE = """
import os, signal, sys, time
heard = []
signal.signal(signal.SIGTERM, lambda *_: heard.append("term"))
signal.signal(signal.SIGINT, lambda *_: heard.append("int"))
print("ready", flush=True)
os.kill(os.getppid(), FIRST)
while not heard:
    time.sleep(0.01)
for number in (signal.SIGINT, signal.SIGTERM):
    os.kill(os.getppid(), number)
    time.sleep(0.2)
print("heard", *heard)
sys.exit(130)
"""


@pytest.mark.slow
@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGHUP])
def test_signals_are_passed_on_once_and_waited_for(capsys, first):
    before = signal.signal(first, signal.SIG_DFL)  # nohup has it ignored
    with pytest.raises(KeyboardInterrupt):
        follow(ANSWERS_ONCE.replace("FIRST", str(int(first))))
    signal.signal(first, before)
    told = capsys.readouterr()
    assert told.out.splitlines() == ["ready", "heard term"]
    assert "the trainer writes a checkpoint first" in told.err
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


PATIENT = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: print("term", flush=True))
signal.signal(signal.SIGINT, lambda *_: sys.exit(print("int")))
for _ in range(100):
    os.kill(os.getppid(), signal.SIGINT)
    time.sleep(0.1)
"""


@pytest.mark.slow
def test_a_ctrl_c_that_comes_much_later_is_passed_on(capsys, monkeypatch):
    monkeypatch.setattr(stop, "PATIENCE", 1)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        follow(PATIENT)
    signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().out.splitlines() == ["term", "int"]
    assert time.monotonic() - began > 1


def test_what_ends_us_leaves_no_trainer(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError

    monkeypatch.setattr("builtins.print", broken)
    with pytest.raises(RuntimeError):
        follow("import time; print('x', flush=True); time.sleep(60)")


def test_a_trainer_goes_on_though_nobody_reads_what_it_prints(monkeypatch):
    def broken(*_, **__):
        raise BrokenPipeError

    monkeypatch.setattr("builtins.print", broken)
    monkeypatch.setattr("sys.stdout", sys.stdout)
    assert follow("print('x', flush=True)") == []


KILLED = """
import os, sys
from pipeline.train import child, stylegan
child.BEGIN = child.BEGIN.replace('"-m", *', '"-c", FAKE, *')
child.BEGIN = "FAKE = " + repr(sys.argv[1]) + child.BEGIN
stylegan.train_generator("data", stylegan.Path(sys.argv[2]), stylegan.TrainStyleGANConfig(), print)
"""
TELLS_OF_ITS_END = """
import pathlib, signal, sys, time
def end(*_):
    pathlib.Path(FILE).write_text("saved")
    sys.exit(130)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.slow
def test_a_killed_parent_leaves_no_trainer(tmp_path):
    fake = TELLS_OF_ITS_END.replace("FILE", repr(str(tmp_path / "end")))
    line = child(KILLED, fake, str(tmp_path / "store"))
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout.readline() == "ready\n"
        parent.kill()
    wait_for(tmp_path, "end")
