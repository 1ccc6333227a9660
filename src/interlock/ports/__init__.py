"""What the layers above need from the world, as typing.Protocols."""
