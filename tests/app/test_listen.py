"""Reserving ports: ours for as long as the reservation lives, and a sentence when they are somebody else's."""

import socket
from collections.abc import Iterator

import pytest

from interlock.app.listen import Reservation, reachable_host, read_address, reserve, wanted_addresses
from interlock.errors import Failure
from interlock.policy.configuration import Address, Configuration


@pytest.fixture
def reservation() -> Iterator[Reservation]:
    taken = reserve("postgres", Address("127.0.0.1", 0))
    yield taken
    taken.release()


def _listen_shared(address: Address) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((address.host, address.port))
    listener.listen()
    return listener


def test_port_zero_takes_a_free_one(reservation: Reservation) -> None:
    assert reservation.address.port > 0


def test_workers_share_the_reserved_port(reservation: Reservation) -> None:
    with _listen_shared(reservation.address), _listen_shared(reservation.address):
        socket.create_connection((reservation.address.host, reservation.address.port), timeout=5).close()


def test_a_reserved_port_is_in_use_for_others(reservation: Reservation) -> None:
    with pytest.raises(Failure) as met:
        reserve("console", reservation.address)
    assert met.value.sentence == (
        f"Port {reservation.address.port} on 127.0.0.1, wanted for console, is in use by another program."
    )
    assert "listen: {console: 127.0.0.1:PORT}" in met.value.remedy


def test_a_port_shared_by_somebody_else_is_in_use(reservation: Reservation) -> None:
    with _listen_shared(reservation.address):
        reservation.release()
        with pytest.raises(Failure, match="is in use by another program"):
            reserve("postgres", reservation.address)


def test_an_address_of_another_machine_is_a_sentence() -> None:
    with pytest.raises(Failure, match=r"cannot listen on 192\.0\.2\.1:0 for console"):
        reserve("console", Address("192.0.2.1", 0))


def test_only_known_names_listen() -> None:
    console = Address("127.0.0.1", 0)
    assert wanted_addresses(Configuration(listen={"console": console}), {}) == {"console": console}
    with pytest.raises(Failure, match=r"listen\.mysql: there is no protocol of that name"):
        wanted_addresses(Configuration(listen={"mysql": console}), {})


@pytest.mark.parametrize("address", [Address("127.0.0.1", 1), Address("::1", 65535), Address("gw.example", 80)])
def test_addresses_read_as_they_are_written(address: Address) -> None:
    assert read_address(str(address)) == address


def test_everywhere_is_reached_on_loopback() -> None:
    assert [reachable_host(host) for host in ("::", "10.1.2.3", "gw")] == ["::1", "10.1.2.3", "gw"]
