"""One use case a file; each docstring lists the conditions it holds to."""
