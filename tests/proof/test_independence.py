"""The checker and the simulator share nothing with the prover."""

import ast
import sys
from pathlib import Path

import interlock.proof.check as checker
from tests.proof import simulator


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            found.add((node.module or ".").split(".")[0])
    return found


def test_checker_and_simulator_import_the_standard_library_alone() -> None:
    for module in (checker, simulator):
        assert _imports(Path(str(module.__file__))) <= sys.stdlib_module_names
