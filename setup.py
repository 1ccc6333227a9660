"""Compiles the hot loops where Cython and a C compiler are; without them the same files run as they stand, slower.

Each of the files has a ``.pxd`` beside it with the C types of its names, so that the Python itself stays plain.
"""

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

_SOURCE = Path("src")
_FLAGS = ["-O2", "-g0", "-Wno-maybe-uninitialized", "-Wno-unused-function"]
# What is C itself (``in_c.pxd`` and the like) is compiled into the files that use it.
_HOT = sorted(path.with_suffix(".py") for path in _SOURCE.rglob("*.pxd") if not path.stem.endswith("in_c"))

_EXTENSIONS = cythonize(
    [
        Extension(
            ".".join(path.relative_to(_SOURCE).with_suffix("").parts),
            [str(path)],
            extra_compile_args=_FLAGS,
        )
        for path in _HOT
    ],
    build_dir="build/cython",
    compiler_directives={"language_level": "3", "annotation_typing": False, "binding": True},
)
for _extension in _EXTENSIONS:
    # Without a compiler it is installed all the same. Said here: Cython makes extensions of its own of those above.
    _extension.optional = True

setup(options={"build_ext": {"parallel": 2}}, ext_modules=_EXTENSIONS)
