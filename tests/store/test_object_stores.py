"""The ledger in an object store, on real servers that speak S3 and Azure's protocol: nobody forks it, and what is
forged there is named."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import obstore
import pytest

from interlock.errors import Failure
from interlock.gateway.sealing import RecordingStore
from interlock.ledger.audit import Sound
from interlock.ledger.tiles import CHECKPOINT
from interlock.ledger.verify import Broken
from interlock.store.home import StateAddress
from interlock.store.state import PostgresState
from interlock.store.tiles import ObjectTiles
from interlock.wire.objects import NoConditionsError, Place, check_conditions, open_objects, told_of
from interlock.wire.segments import Header, seal_segment, segment_path
from tests.store.test_sequencer import append, published, sequencing, until, until_size, verdict
from tests.support.azure import ACCOUNT, azure_shelf, shared_access
from tests.support.objects import BUCKET, ENVIRONMENT, Shelf, running_pys3local, s3_shelf


@pytest.fixture(scope="module", params=[s3_shelf, azure_shelf], ids=["s3", "az"])
def shelf(request: pytest.FixtureRequest) -> Iterator[Shelf]:
    with request.param() as running:
        yield running


@pytest.fixture
def place(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    for name, value in shelf.writer.items():
        monkeypatch.setenv(name, value)
    yield Place(f"{shelf.where}/{uuid4().hex}", endpoint=shelf.endpoint)
    shelf.valve.open()


async def test_a_ledger_grows_in_a_bucket_and_holds_and_what_is_forged_there_is_named(
    state: PostgresState, state_database: StateAddress, place: Place
) -> None:
    tiles = ObjectTiles(place)
    async with sequencing(state_database.url, tiles):
        await append(state, 300)
        old = await until_size(tiles, 300)
        await append(state, 40, "more")
        await until_size(tiles, 340)
    assert isinstance(await verdict(ObjectTiles(place), old), Sound)
    store = open_objects(place, "The store")
    whole = bytes(obstore.get(store, "tile/entries/000").bytes())
    for forged in (whole[:-7], whole.replace(b"vendor.added", b"vendor.ended", 1), b""):
        obstore.put(store, "tile/entries/000", forged)
        found = await verdict(ObjectTiles(place), old)
        assert isinstance(found, Broken)
        assert found.position <= 256
    obstore.put(store, "tile/entries/000", whole)
    assert isinstance(await verdict(ObjectTiles(place), old), Sound)
    assert not obstore.list(store, "interlock-probe").collect(), "what was tried is taken away"


async def test_of_two_sequencers_the_one_that_is_late_changes_nothing(place: Place) -> None:
    first, second = ObjectTiles(place), ObjectTiles(place)
    assert await first.read_version(CHECKPOINT) is None
    assert await second.read_version(CHECKPOINT) is None
    made = await first.replace(CHECKPOINT, b"one", None)
    with pytest.raises(Failure, match="Another sequencer has written checkpoint"):
        await second.replace(CHECKPOINT, b"two", None)
    seen = await second.read_version(CHECKPOINT)
    assert seen == (b"one", made)
    await first.replace(CHECKPOINT, b"three", made)
    with pytest.raises(Failure, match="Another sequencer has written checkpoint"):
        await second.replace(CHECKPOINT, b"four", seen[1])
    assert await second.read(CHECKPOINT) == b"three"
    assert await second.replace(CHECKPOINT, b"three", seen[1]), "what is ours already, its answer lost, is no other's"
    await first.write("tile/0/000.p/1", b"a" * 32)
    await second.write("tile/0/000.p/1", b"a" * 32)
    with pytest.raises(Failure, match="with another content"):
        await second.write("tile/0/000.p/1", b"b" * 32)
    assert await first.read("tile/0/000.p/1") == b"a" * 32


async def test_another_database_on_the_same_bucket_forks_nothing(
    state: PostgresState, state_database: StateAddress, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """Both hold the key and the election of their own database: neither knows of the other."""
    theirs = ObjectTiles(place)
    entries = [b'{"forged":1}', b'{"forged":2}']
    await theirs.write("tile/entries/000.p/2", b"".join(len(one).to_bytes(2, "big") + one for one in entries))
    async with sequencing(state_database.url, ObjectTiles(place)):
        await append(state, 2)
        await until(lambda: "with another content" in caplog.text)
    signed = await published(theirs)
    assert signed is None or signed.size == 0, "nothing is signed over what somebody else has put there"


async def test_a_store_that_is_away_stops_publishing_and_is_caught_up_with(
    state: PostgresState, state_database: StateAddress, place: Place, shelf: Shelf
) -> None:
    tiles = ObjectTiles(place)
    async with sequencing(state_database.url, tiles):
        await append(state, 5)
        before = await until_size(tiles, 5)
        shelf.valve.close()
        await append(state, 20, "meanwhile")
        with pytest.raises(Failure, match="does not answer, or refuses"):
            await tiles.check()
        shelf.valve.open()
        await until_size(tiles, 25)
    assert isinstance(await verdict(tiles, before), Sound)


async def test_a_store_that_takes_conditions_for_nothing_gets_no_ledger(
    state: PostgresState,
    state_database: StateAddress,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with running_pys3local(tmp_path / "store") as address:
        place = Place(f"s3://{BUCKET}/log", endpoint=address)
        with pytest.raises(NoConditionsError, match=r"could be forked") as caught:
            check_conditions(open_objects(place, "The store"), "The store")
        assert "conditional writes" in caught.value.remedy
        tiles = ObjectTiles(place)
        async with sequencing(state_database.url, tiles):
            await append(state, 3)
            await until(lambda: "cannot keep two writers apart" in caplog.text)
        assert await tiles.read(CHECKPOINT) is None


def test_a_segment_is_stored_once_under_its_name(place: Place) -> None:
    store = RecordingStore(place)
    segment = seal_segment(bytes(32), Header("s-1", 1, "", 1, 1), [b'{"n":1}'])
    store.create(segment)
    store.create(segment)
    found = obstore.get(open_objects(place, "The store"), segment_path(segment.digest)).bytes()
    assert bytes(found) == segment.content


def test_credentials_come_from_a_file_and_no_secret_is_told(
    shelf: Shelf, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in shelf.writer:
        monkeypatch.delenv(name)
    file = tmp_path / "store"
    file.write_text("# ours\n" + "".join(f"{name}={value}\n" for name, value in shelf.writer.items()))
    kept = Place(place.where, place.endpoint, "us-east-1", str(file))
    check_conditions(open_objects(kept, "The store"), "The store")
    assert told_of(kept) == f"from {file}"
    # what the configuration says as well goes before it
    elsewhere = {
        "s3": "AWS_REGION=elsewhere\nAWS_ENDPOINT_URL=http://127.0.0.1:9\n",
        "az": "AZURE_STORAGE_ENDPOINT=http://127.0.0.1:9\n",
    }
    file.write_text(f"{file.read_text()}{elsewhere[place.where[:2]]}")
    check_conditions(open_objects(kept, "The store"), "The store")
    file.write_text(f"{shelf.secret}\n".replace("=", ""))
    with pytest.raises(Failure) as caught:
        open_objects(kept, "The store")
    assert shelf.secret.rstrip("=") not in str(caught.value)
    file.unlink()
    with pytest.raises(Failure, match="cannot be read"):
        open_objects(kept, "The store")


def test_the_environment_leads_to_no_other_store_than_the_configuration_says(
    shelf: Shelf, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, last = {
        "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
    }[place.where[:2]]
    monkeypatch.setenv(last, shelf.endpoint)
    configured, from_environment = Place(place.where, shelf.endpoint, "us-east-1"), Place(place.where, "", "us-east-1")
    for store in (configured, from_environment):
        for said in ("", "http://127.0.0.1:9"):
            monkeypatch.setenv(first, said)
            if first == "AWS_ENDPOINT_URL_S3" and (not said or store is configured):
                with pytest.raises(Failure, match="AWS_ENDPOINT_URL_S3 is in the environment"):
                    open_objects(store, "The store")
            elif not said or store is configured:
                check_conditions(open_objects(store, "The store"), "The store")
    monkeypatch.setenv(first, shelf.endpoint)
    check_conditions(open_objects(configured, "The store"), "The store")


async def test_a_signature_that_lets_read_lets_nobody_write_and_is_told_to_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A shared access signature opens the store to whoever has it, and stands in the address of each request."""
    with azure_shelf() as shelf:
        place = Place(f"{shelf.where}/log")
        monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", shelf.endpoint)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT)
        monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", shared_access("rwdlac"))
        await ObjectTiles(place).check()
        await ObjectTiles(place).write("tile/0/000.p/1", b"a" * 32)
        for permissions, lasts in (("rl", timedelta(hours=1)), ("rwdlac", timedelta(hours=-1))):
            signature = shared_access(permissions, lasts=lasts)
            monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", signature)
            tiles, said = ObjectTiles(place), []
            for attempt in (tiles.check(), tiles.write("tile/0/000.p/2", b"a" * 64)):
                with pytest.raises(Failure) as caught:
                    await attempt
                said.append(f"{caught.value!r} {caught.value} {caught.value.remedy}")
            if permissions == "rl":
                assert await tiles.read("tile/0/000.p/1") == b"a" * 32
            shelf.valve.close()
            with pytest.raises(Failure) as caught:
                await tiles.read("tile/0/000.p/1")
            shelf.valve.open()
            said += [str(caught.value), told_of(place), caplog.text]
            assert not any(re.search(r"sig=|[?&]se=", one) for one in said), said
        assert ObjectTiles(place).where == f"{shelf.where}/log"


@pytest.mark.parametrize(
    ("where", "endpoint"),
    [
        ("http://tiles.example/log", ""),
        ("s3://bucket/log", "http://store.example:9000"),
        ("az://box/log", "http://store.example:10000/account"),
    ],
)
def test_clear_text_goes_to_this_machine_alone(where: str, endpoint: str) -> None:
    with pytest.raises(Failure, match="clear text"):
        open_objects(Place(where, endpoint), "The store")


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    assert Place(f"file://{tmp_path}/a%20b").folder == tmp_path / "a b"
