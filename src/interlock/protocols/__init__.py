"""One folder a protocol, each exporting PROTOCOL."""
