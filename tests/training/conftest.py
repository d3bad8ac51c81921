"""Graphs that run for seconds stay as they are traced; `deploy` takes them as users have them."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def left_alone(plain_graphs):
    """Whatever a test here trains, draws or measures."""
