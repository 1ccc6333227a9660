"""The examples that RFC 9449 itself gives."""

from datetime import UTC, datetime

import pytest

from interlock.identity.dpop import Nonces, ProofChecker, token_hash
from interlock.identity.jose import Verifier, unverified
from interlock.identity.keys import UnusableKeyError, read_public_jwk, thumbprint
from interlock.identity.nonce_secrets import NonceSecrets
from interlock.identity.refusals import NonceNeeded, ProofProblem, ProofRefused
from tests.identity.settings import HandClock, SeenProofs

# Figure 2 (section 4.2): a proof for the token endpoint.
PROOF = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRj"
    "QyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19."
    "eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0Ijox"
    "NTYyMjYyNjE2fQ."
    "2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
)
# Section 6.1: the thumbprint of that key in cnf. Section 7.1: a token and its ath.
JKT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
TOKEN = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
ATH = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"


def test_the_proof_the_thumbprint_and_the_hash_are_what_the_rfc_says() -> None:
    header, claims = unverified(PROOF)
    key = read_public_jwk(header["jwk"])
    Verifier(key).verify(PROOF)
    assert thumbprint(key) == JKT
    assert claims["htu"] == "https://server.example.com/token"
    assert token_hash(TOKEN) == ATH


async def test_the_proof_lacks_only_our_nonce() -> None:
    clock = HandClock()
    clock.at = datetime.fromtimestamp(1562262616, UTC)
    checker = ProofChecker(Nonces(NonceSecrets(b"n" * 32), clock), SeenProofs(), clock)
    with pytest.raises(NonceNeeded):
        await checker.check(PROOF, method="POST", url="https://server.example.com/token")
    for method, url, problem in (
        ("GET", "https://server.example.com/token", ProofProblem.METHOD),
        ("POST", "https://server.example.com/other", ProofProblem.ADDRESS),
    ):
        with pytest.raises(ProofRefused) as caught:
            await checker.check(PROOF, method=method, url=url)
        assert caught.value.problem is problem


@pytest.mark.parametrize("more", [{"use": "enc"}, {"key_ops": ["sign"]}, {"key_ops": "verify"}, {"use": ["sig"]}])
def test_a_key_that_is_not_for_signatures_verifies_none(more: dict[str, object]) -> None:
    header, _ = unverified(PROOF)
    assert read_public_jwk({**header["jwk"], "use": "sig", "key_ops": ["verify"]})
    with pytest.raises(UnusableKeyError):
        read_public_jwk({**header["jwk"], **more})
