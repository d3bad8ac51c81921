"""What a minibatch would do on a GPU, read from its graphs: `benchmarks/step.py --report`."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import graphs
from tests.kit.training_runs import small
from training.minibatch import Minibatch
from training.run import journal
from training.state import network_configs, new_state

pytestmark = pytest.mark.slow
LABELS = np.eye(2, dtype=np.float32)


def made(folder, batch, **more):
    given = {"labels": True, "precision": "bfloat16", "half_levels": 1, **more}
    config = small(folder, folder, batch=batch, **given)
    state = new_state(config, network_configs(config, (8, 6, 3), 2))
    return Minibatch(state, config, LABELS, 1.0, use="none")


def traced(minibatch, batch):
    """Name -> graph of each step, and of the averages."""
    seen, one = tf.constant(0, tf.int64), tf.constant(1.0)
    reals, labels = tf.zeros([batch, 8, 6, 3]), tf.zeros([batch, 2])
    calls = {
        step.name: lambda step=step: minibatch.take(step, seen, reals, labels, one, one)
        for step in minibatch.steps
    }
    calls["averages"] = lambda: minibatch.average(one, one, one)
    return {name: graphs.graph_of(call) for name, call in calls.items()}


def tallies(traced):
    return {name: graphs.tally(graph) for name, graph in traced.items()}


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    """A minibatch of 8, whose graphs are traced once."""
    return made(tmp_path_factory.mktemp("graphs"), 8)


@pytest.fixture(scope="module")
def of_many(tmp_path_factory):
    """The graphs at batch 32."""
    return traced(made(tmp_path_factory.mktemp("graphs"), 32), 32)


@pytest.fixture(scope="module")
def found(eight, of_many):
    """The tallies at batch 8 and at batch 32."""
    return [tallies(traced(eight, 8)), tallies(of_many)]


def test_no_graph_grows_with_the_batch(found):
    few, many = ({name: t.nodes for name, t in each.items()} for each in found)
    assert few == many
    launches = [{name: t.launches for name, t in each.items()} for each in found]
    assert launches[0] == launches[1]


def test_every_operation_has_a_kernel_on_a_gpu(found):
    assert {name: tally.missing for name, tally in found[0].items() if tally.missing} == {}


def test_no_step_waits_for_what_the_host_reads(found):
    assert {name: tally.reads for name, tally in found[0].items() if tally.reads} == {}


def test_no_step_holds_feature_maps_that_are_always_the_same(of_many):
    """As TensorFlow's gradient of a gradient has them, of zeros, and a stack with zeros."""
    batch, steps = 32, [name for name in of_many if name != "averages"]
    assert len(steps) == 4
    for name in steps:
        inner = [called.graph for called in of_many[name]._functions.values()]
        every = [op for graph in inner for op in needed(graph) if graphs.folded(op)]
        shapes = [out.shape for op in every for out in op.outputs]
        found = [shape for shape in shapes if shape.rank > 3 and shape[0] in (batch, batch // 2)]
        maps = [shape for shape in found if shape[3] != 3]  # but images
        assert (name, shapes != [], maps) == (name, True, [])


def needed(graph):
    """The operations of a graph that its results take."""
    left, found = [*graph.control_outputs, *(tensor.op for tensor in graph.outputs)], set()
    while left:
        if (op := left.pop()) not in found:
            found.add(op)
            left += [*op.control_inputs, *(tensor.op for tensor in op.inputs)]
    return found


def test_augmentation_waits_for_nothing_either(tmp_path):
    """R1 has its gradient, and the gradient of that; the averages move p."""
    minibatch = made(tmp_path, 8, augment="ada", augment_pipe="bgcfnc")
    minibatch.steps = [step for step in minibatch.steps if step.name == "D_r1"]
    tally = tallies(traced(minibatch, 8))
    assert {(each.missing, each.reads) for each in tally.values()} == {((), 0)}


def test_the_count_sees_what_it_is_for():
    """An int64 unstacked is handed to the host; a string has no kernel on a GPU."""
    whole, half = tf.Variable([1, 2, 3], dtype=tf.int64), tf.Variable(0.5)
    assert graphs.tally(graphs.graph_of(lambda: tf.unstack(whole + 1))).reads == 1
    (missing,) = graphs.tally(graphs.graph_of(lambda: tf.strings.as_string(half + 1))).missing
    assert missing == "AsString(float32)"


def test_the_device_is_read_once_a_tick(eight, monkeypatch):
    minibatch, tally, read = eight, journal.Tally({}), []
    batch = tf.zeros((8, 8, 6, 3)), tf.zeros((8, 2))
    minibatch(*batch)  # what is compiled may be looked at
    eager, whole = type(tf.constant(0)).__mro__[1], type(tf.constant(0))._numpy
    monkeypatch.setattr(eager, "_numpy", lambda self: read.append(1) or whole(self))
    for _ in range(5):
        tally.add(minibatch(*batch))
    assert read == []
    line = tally.close()
    assert read == [1] and line["minibatches"] == 5 and np.isfinite(line["Loss/D/loss"])
