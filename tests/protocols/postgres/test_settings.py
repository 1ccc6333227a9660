"""What may be written in a resource's settings, and what a client may ask for as it starts."""

import pytest

from interlock.domain.resources import Resource
from interlock.errors import PeerError
from interlock.protocols.postgres import PROTOCOL
from interlock.protocols.postgres.settings import choose_tls, read_client_parameters, split_database


@pytest.mark.parametrize(
    ("settings", "mistakes"),
    [
        ({}, 0),
        ({"database": "orders", "tls": {"mode": "verify-full", "ca": "/ca.pem"}}, 0),
        ({"databse": "orders"}, 1),
        ({"database": 5}, 1),
        ({"tls": "require"}, 1),
        ({"tls": {"mode": "prefer"}}, 1),
        ({"tls": {"mode": "require", "ca": "/ca.pem"}}, 1),
        ({"tls": {"cert": "x", "ca": 1}}, 2),
    ],
)
def test_mistakes_are_found(settings: dict[str, object], mistakes: int) -> None:
    assert len(PROTOCOL.check_settings(settings)) == mistakes


@pytest.mark.parametrize(
    ("host", "tls", "mode"),
    [
        ("db.example", None, "verify-full"),
        ("127.0.0.1", None, "disable"),
        ("::1", None, "disable"),
        ("localhost", None, "disable"),
        ("/run/postgresql", {"mode": "require"}, "disable"),
        ("127.0.0.1", {"ca": "/ca.pem"}, "verify-full"),
        ("db.example", {"mode": "disable"}, "disable"),
    ],
)
def test_tls_is_chosen(host: str, tls: dict[str, str] | None, mode: str) -> None:
    resource = Resource("orders", "postgres", host, 5432, settings={} if tls is None else {"tls": tls})
    assert choose_tls(resource).mode == mode


def test_databases() -> None:
    assert split_database("orders") == ("orders", None)
    assert split_database("orders/other") == ("orders", "other")
    assert split_database("orders/") == ("orders", None)


def test_what_is_passed_on() -> None:
    asked = {
        "user": "dev",
        "database": "orders",
        "_pq_.x": "1",
        "replication": "false",
        "TimeZone": "UTC",
        "options": r"-c datestyle=ISO,\ DMY --work-mem-like=1".replace(" --work-mem-like=1", ""),
        "client_encoding": "utf-8",
    }
    assert read_client_parameters(asked) == {"TimeZone": "UTC", "DateStyle": "ISO, DMY", "client_encoding": "UTF8"}


@pytest.mark.parametrize(
    "asked",
    [
        {"session_replication_role": "replica"},
        {"options": "-c"},
        {"options": "-c x"},
        {"options": "-d 5"},
        {"options": "-c local_preload_libraries=x"},
        {"search_path": 'x, "PG_CATALOG"'},
        {"standard_conforming_strings": "off"},
        {"client_encoding": "SJIS"},
        {"replication": "true"},
    ],
)
def test_what_is_not(asked: dict[str, str]) -> None:
    with pytest.raises(PeerError):
        read_client_parameters(asked)


def test_needs_are_described() -> None:
    assert [str(need) for need in PROTOCOL.describe("SELECT * FROM orders")] == ["read on table orders"]
    assert PROTOCOL.describe("this is no sentence") == PROTOCOL.describe("nor\0this")
