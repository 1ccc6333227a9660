"""The calls of the API, one file an area."""
