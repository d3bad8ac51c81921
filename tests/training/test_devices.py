"""With which arithmetic a device computes, and when its steps are compiled."""

import json

import pytest
import tensorflow as tf

from tests.kit.training_runs import small
from training import devices
from training.config import ConfigError


@pytest.fixture
def arithmetic():
    """Whether float32 may be multiplied with 10 bits; as it was, afterwards."""
    enabled = tf.config.experimental.tensor_float_32_execution_enabled
    before = enabled()
    yield enabled
    tf.config.experimental.enable_tensor_float_32_execution(before)


@pytest.mark.parametrize(
    ("precision", "fast"), [("float32", False), ("tf32", True), ("bfloat16", False)]
)
def test_float32_is_float32_unless_asked_otherwise(tmp_path, arithmetic, precision, fast):
    tf.config.experimental.enable_tensor_float_32_execution(not fast)
    devices.choose(small(tmp_path, tmp_path, device="cpu", precision=precision))
    assert arithmetic() == fast


@pytest.mark.parametrize(
    ("xla", "cards", "machines", "compiled"),
    [
        ("auto", 0, 1, False),
        ("auto", 1, 1, True),
        ("auto", 2, 1, False),
        ("auto", 1, 2, False),
        ("true", 0, 1, True),
        ("false", 1, 1, False),
    ],
)
def test_steps_are_compiled_on_one_card(tmp_path, monkeypatch, xla, cards, machines, compiled):
    monkeypatch.setattr(devices.tf.config, "get_visible_devices", lambda _: ["GPU"] * cards)
    if machines > 1:
        hosts = [f"{number}:1" for number in range(machines)]
        task = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": 0}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(task))
    assert devices.uses_xla(small(tmp_path, tmp_path, xla=xla)) == compiled


def test_xla_is_refused_where_it_cannot_be(tmp_path):
    with pytest.raises(ConfigError, match="xla = 'yes': choose one of auto, true, false"):
        small(tmp_path, tmp_path, xla="yes")
