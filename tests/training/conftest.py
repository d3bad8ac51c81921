"""Graphs that run for seconds stay as they are traced; `deploy` takes them as users have them."""

import os

import pytest

from tests.kit import training_runs

# What XLA compiles runs once or twice: plain code is made in less than half of the time.
FASTER = ("--xla_backend_optimization_level=0", "--xla_cpu_use_fusion_emitters=false")
os.environ.setdefault("XLA_FLAGS", " ".join(FASTER))


@pytest.fixture(scope="module", autouse=True)
def left_alone(plain_graphs):
    """Whatever a test here trains, draws or measures."""


@pytest.fixture
def eagerly():
    """Without graphs; for numbers, not for what a graph does with them."""
    with training_runs.eagerly():
        yield
