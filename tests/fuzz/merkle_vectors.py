"""Runs the transparency projects' proof vectors, those that must hold and those that must not.

    python -m tests.fuzz.merkle_vectors testdata

The folder is ``testdata`` of transparency-dev/merkle: its ``inclusion`` and ``consistency`` are proofs of RFC 6962. The
subtree proofs beside them are of another draft, and nothing here takes such.
"""

import argparse
import base64
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from interlock.ledger.merkle import NotProved, check_consistency, check_inclusion


def holds(kind: str, vector: dict[str, Any]) -> bool:
    """Whether we take the proof."""
    proof = [base64.b64decode(part) for part in vector["proof"] or ()]
    given = {name: base64.b64decode(vector[name] or "") for name in vector if name.startswith(("root", "leafHash"))}
    try:
        if kind == "inclusion":
            check_inclusion(given["leafHash"], vector["leafIdx"], vector["treeSize"], proof, given["root"])
        else:
            check_consistency(vector["size1"], vector["size2"], proof, given["root1"], given["root2"])
    except NotProved:
        return False
    return True


def run(folder: Path) -> tuple[Counter[str], list[str]]:
    """How many of each kind were taken and refused, and the faults."""
    counts: Counter[str] = Counter()
    faults = []
    for kind in ("inclusion", "consistency"):
        for path in sorted((folder / kind).rglob("*.json")):
            vector = json.loads(path.read_text())
            taken = holds(kind, vector)
            counts[f"{kind} {'taken' if taken else 'refused'}"] += 1
            if taken == vector["wantErr"]:
                said = "takes" if taken else "refuses"
                faults.append(f"{said} {path.relative_to(folder)}: {vector['desc']}")
    return counts, faults


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    counts, faults = run(parser.parse_args(arguments).folder)
    print(f"{counts.total()} vectors: {dict(counts)}; {len(faults)} faults", *faults, sep="\n")  # noqa: T201 -- a report
    return 1 if faults or not counts else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
