"""Which runs a protocol has, and how their results are averaged."""
