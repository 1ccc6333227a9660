"""Everything that the console is for, one thing after another, for real: people in browsers of their own with passkeys,
a psql, a database, a host, gateways, and the ledger checked at the end."""

from pathlib import Path

from tests.web.console.whole import running_whole
from tests.web.console.whole_story import WholeStory


async def test_the_whole_story_in_peoples_browsers(tmp_path: Path) -> None:
    async with running_whole(tmp_path) as whole:
        await WholeStory(whole).tell()
