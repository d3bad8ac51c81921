"""What is exported, converted and timed here is optimised as it is for users."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def left_alone():
    """Overrides the fixture of the folder above: TensorFlow's optimiser stays on."""
