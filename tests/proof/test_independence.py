"""The checker and the simulator share nothing with the prover."""

import ast
import sys
from pathlib import Path

from interlock.proof import check, check_few, check_guests, check_world
from tests.proof import simulator

OWN = {check_few.__name__, check_guests.__name__, check_world.__name__}
"""The checker is four files, which import each other and nothing else of ours."""


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            found.add(node.module or ".")
    return {name if name in OWN else name.split(".")[0] for name in found}


def test_checker_and_simulator_import_the_standard_library_alone() -> None:
    for module in (check, check_few, check_guests, check_world):
        assert _imports(Path(str(module.__file__))) <= sys.stdlib_module_names | OWN
    assert _imports(Path(str(simulator.__file__))) <= sys.stdlib_module_names
