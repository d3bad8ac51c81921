"""With which arithmetic a device computes, and when its steps are compiled."""

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


@pytest.mark.parametrize(("xla", "compiled"), [("auto", False), ("true", True), ("false", False)])
def test_steps_are_compiled_where_it_is_asked_for(tmp_path, monkeypatch, xla, compiled):
    monkeypatch.setattr(devices.tf.config, "get_visible_devices", lambda _: ["GPU"])
    assert devices.uses_xla(small(tmp_path, tmp_path, xla=xla)) == compiled


GAVE_UP = """Graph execution error:

Detected at node Sign defined at (most recent call last):
  File "/some/where.py", line 26, in <module>

'cuLaunchKernel(function)' failed with 'CUDA_ERROR_INVALID_HANDLE'
\t [[{{node Sign}}]] [Op:__inference_function_30809]"""


@pytest.mark.parametrize("xla", ["false", "true"])
def test_what_a_card_cannot_do_is_one_sentence(tmp_path, monkeypatch, xla):
    config, replicas = small(tmp_path, tmp_path, xla=xla), devices.Replicas()
    cards = ["GPU"]
    monkeypatch.setattr(devices.tf.config, "get_visible_devices", lambda _: cards)
    error = tf.errors.InternalError(None, None, GAVE_UP)
    with pytest.raises(devices.DeviceError) as told, devices.explained(config, replicas):
        raise error
    said = "the card gave up ('cuLaunchKernel(function)' failed with 'CUDA_ERROR_INVALID_HANDLE'): "
    assert str(told.value).startswith(said) and "\n" not in str(told.value)
    assert ("leave out --xla true" in str(told.value)) == (xla == "true")
    cards.clear()  # on a CPU it would be a mistake of ours
    with pytest.raises(tf.errors.InternalError), devices.explained(config, replicas):
        raise error


def test_xla_is_refused_where_it_cannot_be(tmp_path):
    with pytest.raises(ConfigError, match="xla = 'yes': choose one of auto, true, false"):
        small(tmp_path, tmp_path, xla="yes")
