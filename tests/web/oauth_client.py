"""A client of the authorization server, and a person in front of a browser, both as small as they can be."""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from interlock.identity.api_client import AsyncApiClient
from interlock.identity.client_assertions import ASSERTION_TYPE
from interlock.identity.dpop import ProofMaker
from interlock.identity.jose import Signer
from interlock.identity.keys import new_key
from tests.web.house import House

REDIRECT = "https://client.example/callback"
VERIFIER = "v" * 43


def challenge_of(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@dataclass
class Client:
    """An outside program: its id, its key for DPoP, and what it got."""

    house: House
    http: httpx2.AsyncClient
    id: str = ""
    key: EllipticCurvePrivateKey = field(default_factory=new_key)
    signer: Signer | None = None

    async def register(self, **metadata: Any) -> "Client":
        said = {"redirect_uris": [REDIRECT], "client_name": "A tool", **metadata}
        answer = await self.http.post(self.house.server + "/oauth/register", json=said)
        assert answer.status_code == 201, answer.text
        self.id = answer.json()["client_id"]
        return self

    def proof(self, path: str, *, key: EllipticCurvePrivateKey | None = None, nonce: str | None = None) -> str:
        nonce = self.house.services.proofs.nonces.current() if nonce is None else nonce
        return ProofMaker(key or self.key).make(
            method="POST", url=self.house.server + path, at=self.house.clock.now(), nonce=nonce or None
        )

    def assertion(self, **changes: Any) -> dict[str, str]:
        """``client_assertion`` of a client with a key of its own."""
        assert self.signer is not None
        now = int(self.house.clock.now().timestamp())
        claims = {
            "iss": self.id,
            "sub": self.id,
            "aud": self.house.services.oauth.issuer,
            "iat": now,
            "exp": now + 60,
            "jti": secrets.token_urlsafe(8),
        } | changes
        signed = self.signer.sign({"typ": "JWT"}, claims)
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}

    async def post(
        self, path: str, form: Mapping[str, str], *, proof: str | None = "", headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """A form, with a proof of this client's key unless another (or None) is given."""
        sent = dict(headers or {})
        if proof is not None:
            sent["DPoP"] = proof or self.proof(path)
        fields = {"client_id": self.id, **form}
        if self.signer is not None and "client_assertion" not in form:
            fields |= self.assertion()
        return await self.http.post(self.house.server + path, data=fields, headers=sent)

    async def token(self, form: Mapping[str, str], **rest: Any) -> httpx2.Response:
        return await self.post("/oauth/token", form, **rest)

    def asking(self, **changes: str) -> dict[str, str]:
        fields = {
            "client_id": self.id,
            "response_type": "code",
            "redirect_uri": REDIRECT,
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
            "state": "xyz",
            **changes,
        }
        return {name: value for name, value in fields.items() if value}

    async def authorize(self, **changes: str) -> httpx2.Response:
        return await self.http.get(f"{self.house.server}/oauth/authorize?{urlencode(self.asking(**changes))}")

    async def code(self, person: AsyncApiClient, **changes: str) -> str:
        """The code that comes of the person's yes."""
        return (await self.answered(person, **changes))["code"]

    async def answered(self, person: AsyncApiClient, **changes: str) -> dict[str, str]:
        went = await self.authorize(**changes)
        assert went.status_code == 303, went.text
        number = fields_in(went.headers["location"])["request"]
        return fields_in(await say(person, number, allow=True))

    def exchange(self, code: str, **changes: str) -> dict[str, str]:
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": VERIFIER,
            "redirect_uri": REDIRECT,
            **changes,
        }
        return {name: value for name, value in fields.items() if value}

    async def tokens(self, person: AsyncApiClient) -> dict[str, Any]:
        answer = await self.token(self.exchange(await self.code(person)))
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json()
        return said

    def api(self, token: str, key: EllipticCurvePrivateKey | None = None) -> AsyncApiClient:
        return self.house.client(key or self.key, token)


async def say(person: AsyncApiClient, number: str, *, allow: bool) -> str:
    await person.post("/v1/consents/look", {"request": number})
    answer = await person.post("/v1/consents", {"request": number, "allow": allow})
    return str(answer["redirect"])


def fields_in(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def error(response: httpx2.Response) -> str:
    said = response.json()
    assert set(said) == {"error", "error_description"}, said
    assert response.headers["cache-control"] == "no-store"
    return str(said["error"])


def tampered(token: str, **header: Any) -> str:
    """The token with another header, and its old signature."""
    _, payload, signature = token.split(".")
    forged = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    return f"{forged}.{payload}.{signature}"
