"""Graphs that run for seconds stay as they are traced; `deploy` takes them as users have them."""

import pytest

from tests.kit import training_runs


@pytest.fixture(scope="module", autouse=True)
def left_alone(plain_graphs):
    """Whatever a test here trains, draws or measures."""


@pytest.fixture
def eagerly():
    """Without graphs; for numbers, not for what a graph does with them."""
    with training_runs.eagerly():
        yield
