"""Everything that the console is for, one thing after another, for real: people in browsers of their own with passkeys,
a psql, a database, a host, gateways, and the ledger checked at the end. And of every address that the browsers asked
for on the way, that it held nothing secret."""

from pathlib import Path
from urllib.parse import urlsplit

from tests.web.console.whole import Whole, running_whole
from tests.web.console.whole_story import WholeStory


async def test_the_whole_story_in_peoples_browsers(tmp_path: Path) -> None:
    async with running_whole(tmp_path) as whole:
        await WholeStory(whole).tell()
        await _no_address_held_a_secret(whole)


async def _no_address_held_a_secret(whole: Whole) -> None:
    """Headers, fields and what the pages showed once are the secrets; nobody names them here."""
    watched = whole.watched
    for seat in whole.seats.values():
        watched.learn("a secret for codes", seat.member.totp_secret)
        watched.learn("a password", seat.member.password)
    await watched.all_read()
    kinds = ("authorization", "dpop", "cookie", "x-form-token", "password", "totp", "code", "token", "credential")
    for kind in (*kinds, "an invitation", "a password for one connection"):
        assert watched.secrets.get(kind), f"no {kind} went by: this test sees nothing"
    assert len(watched.asked) > 90
    assert watched.wrong() == []
    # An invitation's code is in the address bar alone, behind the #, and is taken away when it has done its work.
    behind = {urlsplit(address).fragment for address in watched.stood} - {""}
    assert behind & watched.secrets["an invitation"]
    assert not any("#" in seat.tab.url for seat in whole.seats.values())
    # No other server has heard of any of them.
    hosts = {urlsplit(address).netloc for address in watched.asked} - {""}
    assert hosts == {urlsplit(whole.origin).netloc}
