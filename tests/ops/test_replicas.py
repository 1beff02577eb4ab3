import json

import numpy as np
import tensorflow as tf

from gsp_tf.ops.replicas import as_array, gather_batch, replica_count
from tests.fresh_process import run_python

TWO_REPLICAS = """
import json
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from gsp_tf.ops.replicas import gather_batch, replica_count

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
values = strategy.experimental_distribute_values_from_function(
    lambda context: 10.0 * context.replica_id_in_sync_group + tf.range(2.0)
)


@tf.function
def step(values):
    with tf.GradientTape() as tape:
        tape.watch(values)
        gathered = gather_batch(values)
        loss = tf.reduce_sum(tf.range(1.0, 5.0) * gathered) / replica_count()
    return gathered, tape.gradient(loss, values), replica_count()


gathered, gradient, count = strategy.run(step, args=(values,))
print(json.dumps([
    [tensor.numpy().tolist() for tensor in strategy.experimental_local_results(gathered)],
    [tensor.numpy().tolist() for tensor in strategy.experimental_local_results(gradient)],
    int(strategy.experimental_local_results(count)[0]),
]))
"""


def test_every_replica_sees_the_global_batch_in_replica_order():
    gathered, gradient, count = json.loads(run_python(TWO_REPLICAS).splitlines()[-1])
    assert gathered == [[0.0, 1.0, 10.0, 11.0]] * 2
    assert count == 2
    # Both replicas compute the whole loss, divided by their number: its gradient arrives once.
    assert gradient == [[1.0, 2.0], [3.0, 4.0]]


def test_without_a_strategy_nothing_happens():
    tensor = tf.constant([1.0, 2.0])
    assert replica_count() == 1
    assert gather_batch(tensor) is tensor


def test_arrays_do_not_follow_later_assignments():
    variable = tf.Variable([1.0, 2.0])
    array = as_array(variable)
    variable.assign([3.0, 4.0])
    np.testing.assert_array_equal(array, [1.0, 2.0])
