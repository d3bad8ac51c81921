"""One model of every kind, opened once."""

import pytest

from tests.kit.small_models import KINDS, small_model


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """The file of each kind."""
    folder = tmp_path_factory.mktemp("models")
    return {kind: small_model(folder / f"{n}.npz", kind) for n, kind in enumerate(KINDS)}
