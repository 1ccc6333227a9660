"""Service files: ours between our markers, everybody else's untouched, and libpq understands them."""

import stat
from pathlib import Path

import pytest

from interlock.cli.home import Home
from interlock.cli.pg_service import (
    Service,
    clear_users_file,
    merge_users_file,
    service_of,
    users_file,
    write_home_file,
)

ORDERS = Service("orders", "127.0.0.1", 15432, "orders", "dev@acme.example")
STOCK = Service("stock", "gw.example.com", 15432, "stock", "dev@acme.example")
MINE = "[mine]\nhost=db.example.com\npassword=not yours to touch\n"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home", default=True)


def test_the_home_has_a_section_for_each_resource(home: Home) -> None:
    text = write_home_file(home, [ORDERS, STOCK]).read_text()
    assert "[orders]\nhost=localhost\nhostaddr=127.0.0.1\nport=15432\ndbname=orders\nuser=dev@acme.example\n" in text
    assert "[stock]\nhost=gw.example.com\nport=15432\n" in text
    assert text.count("sslmode=verify-full\n") == 2
    assert f"sslrootcert={home.authority}\nsslcert={home.certificate}\nsslkey={home.key}\n" in text


def test_somebody_elses_sections_are_left_alone(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "pg_service.conf"
    path.write_text(MINE + "[stock]\nhost=elsewhere\n")
    path.chmod(0o640)
    assert merge_users_file(path, home, [ORDERS, STOCK]) == (["orders"], ["stock"])
    assert path.read_text().startswith(MINE + "[stock]\nhost=elsewhere\n")
    assert path.read_text().count("[stock]") == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_what_is_ours_is_replaced_and_taken_away_again(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "pg_service.conf"
    path.write_text(MINE)
    merge_users_file(path, home, [ORDERS])
    merge_users_file(path, home, [STOCK])
    assert "[orders]" not in path.read_text()
    assert path.read_text().count(">>> interlock") == 1
    clear_users_file(path, home)
    assert path.read_text() == MINE


def test_two_homes_side_by_side(home: Home, tmp_path: Path) -> None:
    other = Home(tmp_path / "other", default=False)
    path = tmp_path / "pg_service.conf"
    merge_users_file(path, home, [ORDERS])
    assert merge_users_file(path, other, [ORDERS, STOCK]) == (["stock"], ["orders"])
    clear_users_file(path, home)
    assert "[orders]" not in path.read_text()
    assert "[stock]" in path.read_text()


def test_a_file_that_is_not_there_is_made_private(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "pg_service.conf"
    merge_users_file(path, home, [ORDERS])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().startswith("# >>> interlock")


def test_a_link_is_followed_and_stays_a_link(home: Home, tmp_path: Path) -> None:
    kept = tmp_path / "dotfiles"
    kept.write_text(MINE)
    path = tmp_path / "pg_service.conf"
    path.symlink_to(kept)
    merge_users_file(path, home, [ORDERS])
    assert path.is_symlink()
    assert "[orders]" in kept.read_text()


def test_what_libpq_cannot_reach_has_no_section() -> None:
    connect = {"host": "127.0.0.1", "port": 15432, "database": "orders"}
    listed = {"name": "orders", "kind": "postgres", "connect": connect}
    assert service_of(listed, "dev@acme.example") == ORDERS
    assert service_of({**listed, "kind": "toy"}, "dev") is None
    assert service_of({**listed, "connect": {**connect, "host": None, "port": None}}, "dev") is None


def test_the_users_file_is_the_one_that_libpq_reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "elsewhere"))
    assert users_file() == tmp_path / "elsewhere"
    monkeypatch.delenv("PGSERVICEFILE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert users_file() == tmp_path / ".pg_service.conf"
