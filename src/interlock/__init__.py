"""Interlock: an access gateway with separation of duties."""

__version__ = "0.1.0"
