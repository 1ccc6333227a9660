"""Calls to addresses that the configuration names: never to what only this machine can reach, unless it says so."""

import pytest
from fastapi import FastAPI, Response

from interlock.errors import Failure
from interlock.wire.outward import Outward, check_address
from tests.sinks.test_sinks import serving


def naming(*addresses: str) -> Outward:
    async def resolves(host: str, port: int) -> list[str]:
        return list(addresses)

    return Outward("The webhook", inside=False, resolves=resolves)


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",),
        ("10.0.0.7",),
        ("192.168.1.1",),
        ("169.254.169.254",),
        ("100.64.0.1",),
        ("0.0.0.0",),  # noqa: S104 -- called, not bound to
        ("::1",),
        ("fe80::1",),
        ("fd00::1",),
        ("::ffff:127.0.0.1",),
        ("64:ff9b::a00:1",),
        ("2002:7f00:1::",),
        # one public address does not help the other
        ("1.1.1.1", "10.0.0.7"),
        (),
    ],
)
async def test_what_is_not_public_is_not_called(addresses: tuple[str, ...]) -> None:
    outward = naming(*addresses)
    with pytest.raises(Failure, match="does not lie on the public internet"):
        await outward.post("https://hooks.example/in?sig=s3cret", b"{}", {})
    await outward.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/in",
        "ftp://hooks.example/in",
        "https:///in",
        "https://us:pw@hooks.example/in",
        "https://hooks.example@thief.example/in",
        "https://hooks.example/in#pw",
        "https://hooks.example:pw/in",
        "//hooks.example",
        "",
    ],
)
def test_what_is_no_plain_address_of_https_is_refused(url: str) -> None:
    for inside in (False, True):
        with pytest.raises(Failure) as refused:
            check_address(url, "The webhook", inside=inside)
        assert "pw" not in str(refused.value)


def test_clear_text_goes_to_this_machine_alone_and_only_where_it_is_said() -> None:
    assert check_address("http://127.0.0.1:8080/in", "The webhook", inside=True) == "127.0.0.1"
    for url, inside in (("http://127.0.0.1/in", False), ("http://10.0.0.7/in", True), ("http://127.0.0.1.x.y/", True)):
        with pytest.raises(Failure, match="clear text"):
            check_address(url, "The webhook", inside=inside)


async def test_what_is_read_of_an_answer_is_bounded_and_no_redirect_is_followed() -> None:
    api = FastAPI()
    visited: list[str] = []

    @api.post("/large")
    async def large() -> Response:
        visited.append("/large")
        return Response(b"x" * 1_000_000)

    @api.post("/away")
    async def away() -> Response:
        visited.append("/away")
        return Response(status_code=307, headers={"location": "/large"})

    outward = Outward("The webhook", inside=True)
    async with serving(api) as address:
        assert len((await outward.post(f"{address}/large", b"", {})).content) == 65536
        assert (await outward.post(f"{address}/away", b"", {})).status == 307
    await outward.close()
    assert visited == ["/large", "/away"]
