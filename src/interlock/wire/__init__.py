"""Bytes: buffers and record framing, without sockets."""
