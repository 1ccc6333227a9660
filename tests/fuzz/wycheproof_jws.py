"""Runs Wycheproof's JWS vectors through the two ways in which Interlock verifies signatures.

    python -m tests.fuzz.wycheproof_jws json_web_signature_test.json

The file is ``testvectors_v1/json_web_signature_test.json`` of C2SP/wycheproof. *Ours* is what verifies tokens, proofs
and assertions (one key, ES256 or Ed25519); *theirs* is what verifies the ID tokens of identity providers. A vector of
an algorithm that a way does not take has to be refused, valid or not.
"""

import argparse
import base64
import json
from collections import Counter
from pathlib import Path
from typing import Any

from interlock.errors import Failure
from interlock.identity.jose import UnreadableError, Verifier
from interlock.identity.keys import UnusableKeyError, read_public_jwk
from interlock.identity.oidc import ALGORITHMS, verified_payload


def ours(jwk: dict[str, Any], text: str) -> bool:
    try:
        Verifier(read_public_jwk(jwk)).verify(text)
    except (UnusableKeyError, UnreadableError):
        return False
    return True


def theirs(jwk: dict[str, Any], text: str) -> bool:
    try:
        return verified_payload({"keys": [jwk]}, text) is not None
    except Failure:
        return False


def run(path: Path) -> tuple[Counter[str], list[str]]:
    """How many of each kind, and the faults: what was taken and should not be, or the other way round."""
    counts: Counter[str] = Counter()
    faults = []
    for group in json.loads(path.read_text())["testGroups"]:
        jwk = group.get("public") or group["private"]
        for vector in group["tests"]:
            valid, algorithm = vector["result"] == "valid", _algorithm(vector["jws"])
            for name, check, takes in (
                ("ours", ours, algorithm == "ES256"),
                ("theirs", theirs, algorithm in ALGORITHMS),
            ):
                taken = check(jwk, vector["jws"])
                counts[f"{name} {'taken' if taken else 'refused'}"] += 1
                if taken and not valid:
                    faults.append(f"{name} takes {vector['tcId']}: {vector['comment']}")
                if valid and takes and not taken:
                    faults.append(f"{name} refuses {vector['tcId']}: {vector['comment']}")
    return counts, faults


def _algorithm(text: str) -> str:
    head = text.partition(".")[0]
    try:
        return str(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["alg"])
    except (ValueError, KeyError, TypeError):
        return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    counts, faults = run(parser.parse_args().file)
    print(", ".join(f"{name} {count}" for name, count in sorted(counts.items())))  # noqa: T201 -- a program's report
    for fault in faults:
        print(fault)  # noqa: T201 -- a program's report
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
