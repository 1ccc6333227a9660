"""The whole way of a statement, over real sockets, through a worker in this process."""

from pathlib import Path

from tests.gateway.world import gateway, until


async def test_a_reader_reads_and_everything_is_recorded(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.store.values["a"] = "1"
        gate.lend("reader")
        client = await gate.enter()
        assert await client.ask("get a") == "+1"
        client.writer.write_eof()
        assert await client.rest() == ""
        await until(lambda: gate.desk.ends)
        (session,) = gate.desk.starts
        records = await gate.recording(session)
    assert [record["type"] for record in records] == ["open", "statement", "outcome", "close"]
    assert [record["n"] for record in records] == [1, 2, 3, 4]
    assert records[1]["text"] == "get a"
    assert records[1]["effect"] == "allow"
    assert records[2]["rows"] == 1
    assert records[3]["why"] == "the client left"
