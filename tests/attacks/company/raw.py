"""Calls of the API by hand: each part of a call may be wrong on purpose."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx2

from interlock.cli.home import Home
from interlock.identity.dpop import ProofMaker
from interlock.identity.keys import PrivateKey
from tests.support.stack import Member, Stack


@dataclass(frozen=True)
class Caller:
    """Who holds ``key`` and shows ``token``. ``server`` is where calls go."""

    server: str
    authority: str
    key: PrivateKey
    token: str | None

    def with_key(self, key: PrivateKey) -> "Caller":
        return replace(self, key=key)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        proof_for: str | None = None,
    ) -> httpx2.Response:
        """One call with a proof of its own; ``proof_for`` is the address the proof is made for, if another."""
        more = {"content": content} if content is not None else {"json": body} if body is not None else {}
        with self.client() as http:
            nonce = http.get("/v1/health").headers["dpop-nonce"]
            proof = self.proof(method, proof_for or self.server + path.partition("?")[0], nonce)
            sent = {"DPoP": proof, **self.authorization(), "Content-Type": "application/json", **(headers or {})}
            return http.request(method, path, headers=sent, **more)

    def client(self) -> httpx2.Client:
        trust = ssl.create_default_context(cadata=self.authority)
        return httpx2.Client(base_url=self.server, verify=trust, timeout=30, trust_env=False)

    def proof(self, method: str, url: str, nonce: str | None = None) -> str:
        maker = ProofMaker(self.key)
        return maker.make(method=method, url=url, at=datetime.now(UTC), token=self.token, nonce=nonce)

    def authorization(self) -> dict[str, str]:
        return {} if self.token is None else {"Authorization": f"DPoP {self.token}"}


def caller_of(stack: Stack, member: Member) -> Caller:
    home = Home(member.home, default=False)
    return Caller(stack.server, home.authority.read_text(), home.private_key(), str(home.login()["token"]))


def code_of(response: httpx2.Response) -> tuple[int, str]:
    """The status and the error's code; an empty code for what went well."""
    said: Any = response.json()
    error = said.get("error") if isinstance(said, dict) else None
    return response.status_code, str(error["code"]) if isinstance(error, dict) else ""
