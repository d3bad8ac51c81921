"""Processes of their own that need not load TensorFlow: each is forked from one that has."""

import multiprocessing
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

from atelier import stop

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.kit.training_runs"])  # no thread runs there, no operation


class Forked:
    """`run(*words)` in a process of its own; to those who look as `subprocess.Popen`, with pipes.

    Its environment is that of this moment, and what is given.
    """

    def __init__(self, run, words, environment):
        pipes = [CONTEXT.Pipe(duplex=False) for _ in range(2)]
        ends = [end for _, end in pipes]
        given = (ends, {**os.environ, **environment}, run, words)
        self.process = CONTEXT.Process(target=begin, args=given, daemon=True)
        self.process.start()
        for end in ends:
            end.close()
        self.stdout, self.stderr = (os.fdopen(os.dup(here.fileno())) for here, _ in pipes)

    @property
    def returncode(self):
        return self.process.exitcode

    def poll(self):
        return self.process.exitcode

    def send_signal(self, number):
        os.kill(self.process.pid, number)

    def kill(self):
        self.process.kill()

    def communicate(self, timeout=300):
        """What it says from here on, once it has ended."""
        with self.stdout, self.stderr, ThreadPoolExecutor() as threads:
            said = [threads.submit(pipe.read) for pipe in (self.stdout, self.stderr)]
            self.process.join(timeout)
            if self.poll() is None:
                self.kill()
            return [each.result() for each in said]


def begin(ends, environment, run, words):
    """In the process: as a shell would start it."""
    for number in stop.SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    for descriptor, end in enumerate(ends, 1):
        os.dup2(end.fileno(), descriptor)
        end.close()
    sys.stdout, sys.stderr = (os.fdopen(descriptor, "w", buffering=1) for descriptor in (1, 2))
    os.environ.clear()
    os.environ.update(environment)
    run(*words)
