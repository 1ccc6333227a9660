"""Whether the hot loops run compiled here. They do the same without, and take several times as long."""

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import interlock

SLOWER = "The hot loops are not compiled here, so each statement costs several times as much."
REMEDY = "Install a C compiler (on Debian: apt install gcc python3-dev), then install Interlock again."


def find_uncompiled() -> list[str]:
    """The modules that could be compiled and are not, by name. What is C itself is compiled into others."""
    root = Path(interlock.__file__).parent
    return sorted(
        ".".join(path.relative_to(root.parent).with_suffix("").parts)
        for path in root.rglob("*.pxd")
        if not path.stem.endswith("in_c")
        and not any(path.with_suffix(suffix).exists() for suffix in EXTENSION_SUFFIXES)
    )
