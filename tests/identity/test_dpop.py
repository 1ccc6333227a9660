import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.identity.dpop import LEEWAY, Nonces, Proof, ProofChecker, ProofMaker, normal_address, token_hash
from interlock.identity.jose import Signer
from interlock.identity.keys import new_key, public_jwk, thumbprint
from interlock.identity.nonce_secrets import NonceSecrets
from interlock.identity.refusals import NonceNeeded, ProofProblem, ProofRefused
from tests.identity.settings import NOW, HandClock, SeenProofs

URL = "https://127.0.0.1:8443/v1/whoami"
KEY = new_key()


class Desk:
    """A checker, its clock, and a client that makes good proofs unless told otherwise."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.nonces = Nonces(NonceSecrets(b"n" * 32), self.clock)
        self.replays = SeenProofs()
        self.checker = ProofChecker(self.nonces, self.replays, self.clock)

    def proof(self, header: dict[str, Any] | None = None, drop: str = "", **claims: Any) -> str:
        good = {
            "jti": "j" * 22,
            "htm": "POST",
            "htu": URL,
            "iat": int(NOW.timestamp()),
            "nonce": self.nonces.current(),
            "ath": token_hash("token"),
        }
        made = {**good, **claims}
        made.pop(drop, None)
        return Signer(KEY).sign({"typ": "dpop+jwt", "jwk": public_jwk(KEY), **(header or {})}, made)

    async def check(self, proof: str | None, **changes: Any) -> Proof:
        call = {"method": "POST", "url": URL, "token": "token", "bound_to": thumbprint(KEY), **changes}
        return await self.checker.check(proof, **call)

    async def problem(self, proof: str | None, **changes: Any) -> ProofProblem:
        with pytest.raises(ProofRefused) as met:
            await self.check(proof, **changes)
        assert not self.replays.seen, "a refused proof costs no write"
        return met.value.problem


@pytest.fixture
def desk() -> Desk:
    return Desk()


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    return ".".join(map(encoded, (json.dumps(header).encode(), json.dumps(claims).encode(), signature)))


@pytest.mark.parametrize("key", [KEY, Ed25519PrivateKey.generate()], ids=["ES256", "Ed25519"])
async def test_a_good_proof_passes(desk: Desk, key: Any) -> None:
    maker = ProofMaker(key)
    proof = maker.make(method="POST", url=URL + "?a=b#c", at=NOW, token="token", nonce=desk.nonces.current())
    assert (await desk.check(proof, bound_to=maker.jkt)).jkt == maker.jkt == thumbprint(key)


async def test_a_proof_works_once(desk: Desk) -> None:
    proof = desk.proof()
    await desk.check(proof)
    with pytest.raises(ProofRefused) as met:
        await desk.check(proof)
    assert met.value.problem is ProofProblem.REPLAY


async def test_a_replay_is_found_under_another_signature_too(desk: Desk) -> None:
    """ECDSA signs the same text anew each time: the replay is of (key, jti), not of the bytes."""
    first, second = desk.proof(), desk.proof()
    assert first != second
    await desk.check(first)
    with pytest.raises(ProofRefused, match="used before"):
        await desk.check(second)


async def test_a_replay_is_remembered_as_long_as_the_proof_could_pass(desk: Desk) -> None:
    await desk.check(desk.proof(iat=int((NOW + LEEWAY).timestamp())))
    (until,) = desk.replays.seen.values()
    assert until > NOW + 2 * LEEWAY - timedelta(seconds=1)


async def test_another_method_or_address(desk: Desk) -> None:
    assert await desk.problem(desk.proof(htm="GET")) is ProofProblem.METHOD
    assert await desk.problem(desk.proof(htm="post")) is ProofProblem.METHOD
    for htu in (
        "https://127.0.0.1:8443/v1/requests",
        "https://127.0.0.1:8444/v1/whoami",
        "https://localhost:8443/v1/whoami",
        "https://127.0.0.1:8443/v1/whoami/",
        "https://evil@127.0.0.1:8443/v1/whoami",
        "http://127.0.0.1:8443/v1/whoami",
        "https://127.0.0.1:99999/v1/whoami",
        "https://[::1/v1/whoami",
        "/v1/whoami",
        "",
        7,
    ):
        assert await desk.problem(desk.proof(htu=htu)) is ProofProblem.ADDRESS, htu


async def test_missing_claims(desk: Desk) -> None:
    assert await desk.problem(None) is ProofProblem.MISSING
    assert await desk.problem("") is ProofProblem.MISSING
    assert await desk.problem(desk.proof(drop="jti")) is ProofProblem.CLAIMS
    assert await desk.problem(desk.proof(drop="iat")) is ProofProblem.CLAIMS
    assert await desk.problem(desk.proof(drop="htm")) is ProofProblem.METHOD
    assert await desk.problem(desk.proof(drop="htu")) is ProofProblem.ADDRESS
    assert await desk.problem(desk.proof(drop="nonce")) is ProofProblem.NONCE
    assert await desk.problem(desk.proof(drop="ath")) is ProofProblem.TOKEN
    for jti in ("", "x" * 129, 5, "a\nb"):
        assert await desk.problem(desk.proof(jti=jti)) is ProofProblem.CLAIMS
    for iat in ("now", True, -1, 1e300, None):
        assert await desk.problem(desk.proof(iat=iat)) is ProofProblem.CLAIMS


async def test_another_token_or_another_keys_token(desk: Desk) -> None:
    assert await desk.problem(desk.proof(), token="other") is ProofProblem.TOKEN
    assert await desk.problem(desk.proof(ath="")) is ProofProblem.TOKEN
    assert await desk.problem(desk.proof(ath="é")) is ProofProblem.TOKEN
    assert await desk.problem(desk.proof(), bound_to=thumbprint(new_key())) is ProofProblem.BINDING
    assert await desk.problem(desk.proof(), bound_to=None) is ProofProblem.BINDING


async def test_another_type(desk: Desk) -> None:
    assert await desk.problem(desk.proof({"typ": "JWT"})) is ProofProblem.TYPE
    assert await desk.problem(desk.proof({"typ": "at+jwt"})) is ProofProblem.TYPE


async def test_a_private_or_foreign_jwk(desk: Desk) -> None:
    private = {**public_jwk(KEY), "d": public_jwk(KEY)["x"]}
    assert await desk.problem(desk.proof({"jwk": private})) is ProofProblem.KEY
    assert await desk.problem(desk.proof({"jwk": public_jwk(new_key())})) is ProofProblem.SIGNATURE
    assert await desk.problem(desk.proof({"jwk": public_jwk(Ed25519PrivateKey.generate())})) is ProofProblem.ALGORITHM
    assert await desk.problem(forged({"typ": "dpop+jwt", "alg": "ES256"}, {}, b"x" * 64)) is ProofProblem.KEY


async def test_algorithms_that_are_not_taken(desk: Desk) -> None:
    claims = {"jti": "x", "htm": "POST", "htu": URL, "iat": int(NOW.timestamp()), "nonce": desk.nonces.current()}
    jwk = public_jwk(KEY)
    names: list[object] = ["none", "None", "HS256", "RS256", "ES384", "EdDSA", "", None, ["ES256"], {}]
    for alg in names:
        header = {"typ": "dpop+jwt", "jwk": jwk, "alg": alg}
        assert await desk.problem(forged(header, claims)) is ProofProblem.UNREADABLE, alg
    symmetric = {"typ": "dpop+jwt", "jwk": {"kty": "oct", "k": "c2VjcmV0"}, "alg": "ES256"}
    assert await desk.problem(forged(symmetric, claims, b"x" * 64)) is ProofProblem.KEY
    unsigned = {"typ": "dpop+jwt", "jwk": jwk, "alg": "ES256"}
    assert await desk.problem(forged(unsigned, claims)) is ProofProblem.SIGNATURE
    assert await desk.problem(forged(unsigned, claims, b"\0" * 64)) is ProofProblem.SIGNATURE


async def test_extensions_in_the_header_are_refused(desk: Desk) -> None:
    header = {"typ": "dpop+jwt", "jwk": public_jwk(KEY), "alg": "ES256", "b64": False, "crit": ["b64"]}
    assert await desk.problem(forged(header, {"jti": "x"})) is ProofProblem.UNREADABLE


async def test_a_changed_claim_breaks_the_signature(desk: Desk) -> None:
    header, _, signature = desk.proof().split(".")
    changed = forged({}, {"htm": "POST", "htu": URL, "jti": "other"}).split(".")[1]
    assert await desk.problem(f"{header}.{changed}.{signature}") is ProofProblem.SIGNATURE


@pytest.mark.parametrize(("off_s", "passes"), [(120, True), (121, False), (-120, True), (-121, False), (0, True)])
async def test_the_edges_of_the_clock(desk: Desk, off_s: int, passes: bool) -> None:
    proof = desk.proof(iat=int(NOW.timestamp()) + off_s)
    if passes:
        await desk.check(proof)
    else:
        assert await desk.problem(proof) is ProofProblem.TIME


async def test_the_sentence_says_whose_clock_is_where(desk: Desk) -> None:
    with pytest.raises(ProofRefused, match="600 s behind"):
        await desk.check(desk.proof(iat=int(NOW.timestamp()) - 600))
    with pytest.raises(ProofRefused, match="600 s ahead of"):
        await desk.check(desk.proof(iat=int(NOW.timestamp()) + 600))


async def test_a_nonce_lasts_for_its_minute_and_the_next(desk: Desk) -> None:
    nonce = desk.nonces.current()
    desk.clock.move(timedelta(seconds=60))
    assert desk.nonces.takes(nonce)
    assert desk.nonces.current() != nonce
    desk.clock.move(timedelta(seconds=60))
    assert not desk.nonces.takes(nonce)
    with pytest.raises(NonceNeeded):
        await desk.check(desk.proof(nonce=nonce, iat=int(desk.clock.now().timestamp())))


async def test_nonces_of_the_future_and_of_strangers(desk: Desk) -> None:
    ahead = HandClock(NOW + timedelta(minutes=1))
    assert not desk.nonces.takes(Nonces(NonceSecrets(b"n" * 32), ahead).current())
    assert not desk.nonces.takes(Nonces(NonceSecrets(b"m" * 32), desk.clock).current())
    assert not desk.nonces.takes("")
    assert not desk.nonces.takes("é\ud800")
    assert Nonces(NonceSecrets(b"n" * 32), HandClock()).takes(desk.nonces.current())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://Gateway.Example/v1", "https://gateway.example:443/v1"),
        ("HTTPS://a/", "https://a"),
        ("https://a/%7euser/%2f", "https://a/~user/%2F"),
        ("https://[::1]:8443/x?q#f", "https://[::1]:8443/x"),
    ],
)
def test_spellings_of_one_address(one: str, other: str) -> None:
    assert normal_address(one) == normal_address(other)


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=300) | st.binary(max_size=200).map(lambda raw: base64.urlsafe_b64encode(raw).decode() + ".e30.x")
)
async def test_any_text_is_refused_and_nothing_else(text: str) -> None:
    with pytest.raises(ProofRefused):
        await Desk().check(text)


async def test_deep_nesting_and_great_length_are_refused(desk: Desk) -> None:
    deep = encoded(b"[" * 3000)
    assert await desk.problem(f"{deep}.{deep}.AA") is ProofProblem.UNREADABLE
    assert await desk.problem("a" * 100_000) is ProofProblem.UNREADABLE
