"""Reports that are verified without the server: signed by the authority that every client has pinned.

A report carries ledger entries with their links. The signature says that the control plane said so; a copy of the
ledger, verified by itself, says that the entries stand where they are said to stand.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from interlock.errors import Refusal
from interlock.identity.jose import Signer, UnreadableError, Verifier
from interlock.identity.keys import UnusableKeyError, thumbprint, usable_public_key

REPORT_TYPE = "interlock-report+jws"


@dataclass(frozen=True, slots=True)
class ReportSigner:
    key: EllipticCurvePrivateKey

    def sign(self, report: Mapping[str, Any]) -> str:
        """The report as a JWS in compact form."""
        return Signer(self.key).sign({"typ": REPORT_TYPE, "kid": thumbprint(self.key)}, report)


def read_report(text: str, authority_pem: str) -> dict[str, Any]:
    """The report, if the authority signed it. Raises Refusal (``bad-report``)."""
    try:
        header, payload, _ = (_part(part) for part in text.strip().split("."))
        said, report = json.loads(header), json.loads(payload)
        # Beside the authority that certifies stand the one before it and the next.
        keys = [usable_public_key(c.public_key()) for c in x509.load_pem_x509_certificates(authority_pem.encode())]
        key = next((one for one in keys if thumbprint(one) == said.get("kid")), keys[0])
        Verifier(key).verify(text.strip())
        kind = said.get("typ")
    except (UnreadableError, UnusableKeyError, ValueError, AttributeError, RecursionError) as error:
        raise _refused("it was not signed by this authority, or was changed since") from error
    if kind != REPORT_TYPE or not isinstance(report, dict):
        raise _refused("the authority signed it as something else")
    return report


def _part(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _refused(why: str) -> Refusal:
    return Refusal("bad-report", f"This report does not hold: {why}.", "Get it again from the server.")
