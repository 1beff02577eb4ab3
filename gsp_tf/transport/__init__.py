"""Entropic partial optimal transport with a closed-form gradient."""

from gsp_tf.transport.fixed_point import fixed_point
from gsp_tf.transport.plan import PartialTransport, partial_transport

__all__ = ["PartialTransport", "fixed_point", "partial_transport"]
