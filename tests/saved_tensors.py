"""Which tensors a function keeps from its forward pass for its backward pass."""

import tensorflow as tf

VIEWS = ("Identity", "IdentityN", "StopGradient")
ONLY_THE_SHAPE = ("Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike")


def saved_for_backward(function, *specs):
    """Shapes of the forward pass's tensors that the backward pass reads, each tensor once.

    ``function`` maps tensors to a tuple of tensors; the gradient is with respect to the first argument.
    """
    with tf.Graph().as_default() as graph:
        inputs = [tf.compat.v1.placeholder(spec.dtype, spec.shape) for spec in specs]
        outputs = function(*inputs)
        forward = set(graph.get_operations())
        cotangents = [tf.compat.v1.placeholder(output.dtype, output.shape) for output in outputs]
        tf.gradients(outputs, inputs[0], grad_ys=cotangents)
        own = {tensor.op for tensor in cotangents}
        saved = {}
        for operation in graph.get_operations():
            if operation in forward or operation in own or operation.type in ONLY_THE_SHAPE:
                continue
            for tensor in operation.inputs:
                if tensor.op in forward and tensor.op.type != "Const":
                    while tensor.op.type in VIEWS:
                        tensor = tensor.op.inputs[tensor.value_index]
                    saved[tensor.op.name, tensor.value_index] = tuple(tensor.shape.as_list())
    return list(saved.values())
