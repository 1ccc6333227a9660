"""Forges, one file each: where changes are pushed, reviewed and checked. ``app`` finds them by ``FORGE``."""
