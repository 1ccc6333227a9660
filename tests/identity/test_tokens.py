import base64
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from interlock.domain.grants import Login
from interlock.identity.jose import Signer
from interlock.identity.keys import new_key, thumbprint
from interlock.identity.refusals import TokenRefused
from interlock.identity.tokens import GATEWAY_LIFETIME, Scope, Tokens
from tests.identity.settings import NOW, HandClock

KEY = new_key()
LOGIN = Login("l-12345678", "dev@acme.example", thumbprint(KEY), NOW, NOW + timedelta(hours=8), NOW)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def tokens(clock: HandClock) -> Tokens:
    return Tokens(KEY, clock)


def claims_of(text: str) -> dict[str, Any]:
    part = text.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def test_a_logins_token_says_who_with_which_key_until_when(tokens: Tokens) -> None:
    issued = tokens.issue_for_login(LOGIN)
    token = tokens.read(issued.text)
    assert (token.subject, token.scope, token.login, token.key) == (LOGIN.person, Scope.PERSON, LOGIN.id, LOGIN.key)
    assert token.ends_at == issued.ends_at == LOGIN.ends_at
    assert token.present_at == NOW.replace(microsecond=0)
    assert LOGIN.person not in repr(issued)


def test_a_token_of_a_login_without_presence(tokens: Tokens) -> None:
    assert tokens.read(tokens.issue_for_login(replace(LOGIN, present_at=None)).text).present_at is None


def test_a_gateways_token_names_no_login(tokens: Tokens, clock: HandClock) -> None:
    issued = tokens.issue_for_gateway("gw-1", "k", clock.now())
    token = tokens.read(issued.text)
    assert (token.subject, token.scope, token.login) == ("gw-1", Scope.GATEWAY, "")
    assert issued.ends_at == NOW + GATEWAY_LIFETIME


def test_a_token_ends_with_the_login(tokens: Tokens, clock: HandClock) -> None:
    text = tokens.issue_for_login(LOGIN).text
    clock.at = LOGIN.ends_at - timedelta(seconds=1)
    tokens.read(text)
    clock.at = LOGIN.ends_at
    with pytest.raises(TokenRefused, match="is over"):
        tokens.read(text)


def test_fractions_of_a_second_never_lengthen_a_token(tokens: Tokens) -> None:
    login = replace(LOGIN, ends_at=LOGIN.ends_at + timedelta(microseconds=999_999))
    assert tokens.issue_for_login(login).ends_at <= login.ends_at


def test_a_token_from_the_future(tokens: Tokens, clock: HandClock) -> None:
    text = tokens.issue_for_login(LOGIN).text
    clock.move(-timedelta(seconds=5))
    tokens.read(text)
    clock.move(-timedelta(seconds=1))
    with pytest.raises(TokenRefused, match="future"):
        tokens.read(text)


def test_a_token_signed_by_somebody_else(tokens: Tokens, clock: HandClock) -> None:
    foreign = Tokens(new_key(), clock).issue_for_login(LOGIN).text
    with pytest.raises(TokenRefused):
        tokens.read(foreign)


def test_algorithms_and_forms_that_are_not_taken(tokens: Tokens) -> None:
    good = tokens.issue_for_login(LOGIN).text
    _, payload, signature = good.split(".")
    headers: list[object] = [{"alg": "none", "typ": "at+jwt"}, {"alg": "HS256", "typ": "at+jwt"}, {"typ": "at+jwt"}, []]
    for header in headers:
        forged = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
        for end in (signature, ""):
            with pytest.raises(TokenRefused):
                tokens.read(f"{forged}.{payload}.{end}")
    for text in ("", ".", "..", good[:-1], good + "x", good.replace(".", " "), "é" * 10, "a" * 10_000):
        with pytest.raises(TokenRefused):
            tokens.read(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iss", "urn:other"),
        ("aud", "urn:other"),
        ("aud", ["urn:interlock:api"]),
        ("scope", "administrator"),
        ("scope", None),
        ("sub", ""),
        ("sub", None),
        ("login", None),
        ("login", ""),
        ("cnf", None),
        ("cnf", {}),
        ("cnf", {"jkt": 5}),
        ("exp", None),
        ("exp", "9999999999"),
        ("exp", 1e400),
        ("exp", 10**30),
        ("exp", True),
        ("iat", None),
        ("iat", 10**30),
        ("present_at", "now"),
    ],
)
def test_a_token_that_does_not_say_what_it_must(tokens: Tokens, name: str, value: object) -> None:
    claims = claims_of(tokens.issue_for_login(LOGIN).text)
    claims[name] = value
    with pytest.raises(TokenRefused):
        tokens.read(Signer(KEY).sign({"typ": "at+jwt"}, claims))


def test_a_proof_is_no_token(tokens: Tokens) -> None:
    claims = claims_of(tokens.issue_for_login(LOGIN).text)
    with pytest.raises(TokenRefused, match="something else"):
        tokens.read(Signer(KEY).sign({"typ": "dpop+jwt"}, claims))
