"""What is exported, converted and timed here is optimised as it is for users."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def left_alone():
    """In place of what the other tests of training have."""
