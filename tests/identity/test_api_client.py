"""The client of the API: what is asked is never lost on the way."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from interlock.errors import Misuse
from interlock.identity.api_client import ApiClient, AsyncApiClient
from interlock.identity.authority import Authority
from interlock.identity.keys import new_key


@pytest.fixture
def authority_pem(tmp_path: Path) -> str:
    Authority.open(tmp_path, datetime.now(UTC))
    return (tmp_path / "authority.pem").read_text()


def test_a_query_in_the_path_is_refused_before_anything_is_sent(authority_pem: str) -> None:
    with (
        ApiClient("https://127.0.0.1:1", key=new_key(), authority=authority_pem) as api,
        pytest.raises(Misuse, match="belongs into the arguments"),
    ):
        api.get("/v1/proof?chain=release")


async def test_for_asyncio_too(authority_pem: str) -> None:
    async with AsyncApiClient("https://127.0.0.1:1", key=new_key(), authority=authority_pem) as api:
        with pytest.raises(Misuse, match="belongs into the arguments"):
            await api.get("/v1/proof?chain=release")
