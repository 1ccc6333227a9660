"""A proof as a file: the model in full, so that it can be checked by somebody who has nothing else."""

import hashlib
import json
from collections.abc import Iterable

from interlock.domain.codec import to_plain
from interlock.proof.model import Model
from interlock.proof.verdicts import Proof


def write_certificate(model: Model, proof: Proof, *, away: Iterable[str] = ()) -> str:
    """The certificate as JSON. ``model_sha256`` is over the model's own JSON, keys sorted, without spaces."""
    plain = to_plain(model)
    document = {
        "interlock_certificate": 1,
        "model_sha256": digest_of(model),
        "assumptions": list(proof.assumptions),
        "away": sorted(set(away)),
        "verdicts": to_plain(proof.verdicts),
        "model": plain,
    }
    return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def digest_of(model: Model) -> str:
    text = json.dumps(to_plain(model), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
