"""With which arithmetic a device computes, and when its steps are compiled."""

import pytest
import tensorflow as tf

from atelier import commands
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
    ("precision", "emulates", "gpus", "told"),
    [
        ("bfloat16", True, [], True),
        ("bfloat16", False, [], False),
        ("bfloat16", True, ["GPU"], False),
        ("float32", True, [], False),
    ],
)
def test_what_a_processor_is_slow_at_is_said(
    tmp_path, monkeypatch, precision, emulates, gpus, told
):
    monkeypatch.setattr(devices.startup, "emulates_bfloat16", lambda: emulates)
    monkeypatch.setattr(devices.tf.config, "get_visible_devices", lambda _: gpus)
    monkeypatch.setattr(devices, "named", str)
    config = small(tmp_path, tmp_path, device="cpu", precision=precision)
    said = devices.devices_in_words(devices.Replicas(None), config)
    assert said.endswith(f"{devices.startup.WITHOUT_BFLOAT16}: give --precision float32") == told


@pytest.mark.parametrize(("xla", "compiled"), [("auto", False), ("true", True), ("false", False)])
def test_steps_are_compiled_where_it_is_asked_for(tmp_path, monkeypatch, xla, compiled):
    monkeypatch.setattr(devices.tf.config, "get_visible_devices", lambda _: ["GPU"])
    assert devices.uses_xla(small(tmp_path, tmp_path, xla=xla)) == compiled


GAVE_UP = "Graph execution error:\n\n'cuLaunchKernel(function)' failed\n\t [[{{node Sign}}]]"


@pytest.fixture
def cards(monkeypatch):
    """The GPUs that TensorFlow sees: one."""
    found = ["GPU"]
    monkeypatch.setattr(devices.tf.config, "get_visible_devices", lambda _: found)
    return found


def told(error, config, workers=1):
    """What a person is told of an error, in one line."""
    replicas = devices.Replicas(workers=1)
    replicas.workers = workers
    with pytest.raises(devices.DeviceError) as found, devices.explained(config, replicas):
        raise error
    assert "\n" not in str(found.value) and found.value.__cause__ is error
    return str(found.value)


def test_what_a_card_cannot_do_is_one_sentence(tmp_path, cards):
    error = tf.errors.InternalError(None, None, GAVE_UP)
    assert told(error, small(tmp_path, tmp_path)) == (
        "the card gave up (InternalError: 'cuLaunchKernel(function)' failed): other programs may"
        " hold the card's memory, too (nvidia-smi shows them); the same command goes on"
    )


@pytest.mark.parametrize("kind", [tf.errors.InternalError, tf.errors.InvalidArgumentError])
@pytest.mark.parametrize("count", [0, 1])
def test_what_xla_cannot_compile_says_how_to_leave_it_out(tmp_path, cards, kind, count):
    del cards[count:]
    said = told(kind(None, None, "no such op"), small(tmp_path, tmp_path, xla="true"))
    assert said == f"XLA gave up ({kind.__name__}: no such op): leave out --xla true"


@pytest.mark.parametrize("xla", ["false", "true"])
@pytest.mark.parametrize("place", ["gone/a", "/dev/full"])
def test_a_file_that_cannot_be_written_is_no_fault_of_a_device(tmp_path, cards, xla, place):
    config, told = small(tmp_path, tmp_path, xla=xla), ["gone/a; No such file", "No space left"]
    with (
        pytest.raises(tf.errors.OpError, match="|".join(told)),
        devices.explained(config, devices.Replicas()),
        tf.io.TFRecordWriter(str(tmp_path / place)) as writer,
    ):
        writer.write(b"x" * 100_000)


def test_too_little_memory_is_one_sentence_of_every_command(capsys):
    """In TensorFlow's words, which it says only after it has tried again for ten seconds."""
    where = "/job:localhost/replica:0/task:0/device:CPU:0 by allocator cpu [Op:Fill] name: "
    full = (
        f"{{{{function_node __wrapped__Fill}}}} OOM when allocating tensor with shape[9] on {where}"
    )

    def command():
        raise tf.errors.ResourceExhaustedError(None, None, full)

    assert commands.answered(command, "stopped") == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {commands.NO_MEMORY} (OOM when allocating tensor with shape[")
    assert said.count("\n") == 1


def test_a_mistake_stays_one(tmp_path, cards):
    config = small(tmp_path, tmp_path)
    mistake = tf.errors.InvalidArgumentError(None, None, "shapes must be equal")
    with pytest.raises(type(mistake)), devices.explained(config, devices.Replicas()):
        raise mistake
    cards.clear()
    failed = tf.errors.InternalError(None, None, GAVE_UP)
    with pytest.raises(type(failed)), devices.explained(config, devices.Replicas()):
        raise failed


@pytest.mark.parametrize(("xla", "count"), [("false", 0), ("false", 1), ("true", 1)])
def test_too_little_memory_names_what_makes_it_less(tmp_path, cards, xla, count):
    del cards[count:]
    full = tf.errors.ResourceExhaustedError(None, None, "OOM")
    said = told(full, small(tmp_path, tmp_path, xla=xla))
    assert said.startswith("there is too little memory for 4 images at once: give ")
    assert ("no --xla true" in said) == (xla == "true") and "--accumulation 2" in said
    assert ("nvidia-smi" in said) == (count == 1)


@pytest.mark.parametrize("kind", devices.LOST)
def test_a_machine_that_is_gone_is_named_to_the_others(tmp_path, kind):
    said = told(kind(None, None, "socket closed"), small(tmp_path, tmp_path), workers=2)
    start = f"another worker stopped answering ({kind.__name__}): start all of them"
    assert said == f"{start} with the same command again"


def test_xla_is_refused_where_it_cannot_be(tmp_path):
    with pytest.raises(ConfigError, match="xla = 'yes': choose one of auto, true, false"):
        small(tmp_path, tmp_path, xla="yes")
