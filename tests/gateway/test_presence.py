"""Where a role asks for presence, a proof of it is spent on each connection: at the gateway's door."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from interlock.domain.snapshot import PolicyText
from interlock.policy.load import digest_of
from interlock.ports.control import PassTaken, PasswordHolder
from tests.gateway.test_admission import _secure as secure
from tests.gateway.world import DEV, Gate, gateway, policy, until

KEY = "l-1@things"


@asynccontextmanager
async def guarded(folder: Path, *, login_s: str = "8h") -> AsyncIterator[Gate]:
    """A gateway whose roles ask for presence, in a login that has a fresh proof of it."""
    async with gateway(folder) as gate:
        text = policy(gate.store.port).yaml.replace("count: 1}]}", "count: 1}], mfa: true}")
        text += f"\ntiming: {{login: {login_s}}}\n"
        gate.desk.change_policy(PolicyText(2, digest_of(text, {}), text))
        yield gate


def give(gate: Gate, *grants: str, ago_s: float = 0) -> PassTaken:
    at = gate.desk.now() - timedelta(seconds=ago_s)
    taken = PassTaken("p-1", at, grants or ("g-1",))
    gate.desk.passes[KEY] = taken
    return taken


async def test_a_certificate_and_a_login_with_fresh_presence_open_nothing(tmp_path: Path) -> None:
    async with guarded(tmp_path) as gate:
        gate.lend("reader")
        assert gate.desk.snapshot.logins["l-1"].present_at is not None
        said = await (await secure(gate, gate.certificate())).ask("HELLO things")
        assert said == "-Nobody is there. Type: interlock connect things"
        (wanted,) = gate.desk.wanted
        assert (wanted.login, wanted.resource, wanted.grants, wanted.password) == ("l-1", "things", ("g-1",), "")
        assert wanted.address == "127.0.0.1"
        assert not gate.desk.starts


async def test_one_proof_opens_one_session_which_names_it(tmp_path: Path) -> None:
    async with guarded(tmp_path) as gate:
        gate.lend("reader")
        give(gate)
        client = await secure(gate, gate.certificate())
        assert await client.ask("HELLO things") == f"+welcome {DEV} (read only)"
        assert await client.ask("get a") == "+(nothing)"
        said = await (await secure(gate, gate.certificate())).ask("HELLO things")
        assert "interlock connect things" in said
        await until(lambda: gate.desk.starts)
        assert [start.presence for start in gate.desk.starts.values()] == ["p-1"]
        assert await client.ask("get a") == "+(nothing)", "a session that is open goes on"


async def test_a_password_says_that_it_came_with_one(tmp_path: Path) -> None:
    async with guarded(tmp_path) as gate:
        gate.lend("reader")
        give(gate)
        gate.desk.passwords["secret@things"] = PasswordHolder(DEV, "l-1")
        client = await gate.connect()
        assert (await client.ask("HELLO things secret")).startswith("+welcome")
        assert [wanted.password for wanted in gate.desk.wanted] == ["secret"]


async def test_who_may_not_come_in_anyway_spends_none(tmp_path: Path) -> None:
    async with guarded(tmp_path) as gate:
        give(gate)
        said = await (await secure(gate, gate.certificate())).ask("HELLO things")
        assert "You have no grant on things" in said
        assert not gate.desk.wanted


async def test_a_job_is_told_that_it_cannot(tmp_path: Path) -> None:
    async with guarded(tmp_path) as gate:
        gate.lend("reader")
        give(gate)
        gate.desk.put("logins", "l-1", replace(gate.login, workload="deploy-shop"))
        said = await (await secure(gate, gate.certificate())).ask("HELLO things")
        assert "asks for a person who is there at each connection, and deploy-shop is a job" in said
        assert not gate.desk.wanted


async def test_without_the_control_plane_nobody_is_there(tmp_path: Path) -> None:
    async with guarded(tmp_path) as gate:
        gate.lend("reader")
        give(gate)
        gate.desk.answering = False
        said = await (await secure(gate, gate.certificate())).ask("HELLO things")
        assert "Whether you are there cannot be checked now" in said
        gate.desk.answering = True


async def test_a_proof_that_was_spent_is_gone_when_the_session_does_not_open(tmp_path: Path) -> None:
    async with guarded(tmp_path) as gate:
        gate.lend("reader")
        give(gate)
        gate.store.close()
        await (await secure(gate, gate.certificate())).ask("HELLO things")
        assert not gate.desk.passes
        said = await (await secure(gate, gate.certificate())).ask("HELLO things")
        assert "interlock connect things" in said


async def test_a_proof_for_other_grants_opens_nothing(tmp_path: Path) -> None:
    """A control plane, or a grant that began meanwhile, that gives more than was proved."""
    async with guarded(tmp_path) as gate:
        gate.lend("reader")
        gate.lend("writer", "g-2")
        give(gate, "g-1")
        said = await (await secure(gate, gate.certificate())).ask("HELLO things")
        assert "What you may do changed while you connected" in said


async def test_a_proof_that_is_older_than_the_policy_takes_opens_nothing(tmp_path: Path) -> None:
    async with guarded(tmp_path, login_s="10m") as gate:
        gate.lend("reader")
        give(gate, ago_s=700)
        said = await (await secure(gate, gate.certificate())).ask("HELLO things")
        assert "needs a proof of your presence from the last 10m" in said


async def test_statements_count_the_proof_of_the_connection(tmp_path: Path) -> None:
    async with guarded(tmp_path) as gate:
        gate.lend("reader")
        gate.desk.put("logins", "l-1", replace(gate.login, present_at=None))
        give(gate)
        client = await secure(gate, gate.certificate())
        assert await client.ask("HELLO things") == f"+welcome {DEV} (read only)"
        assert await client.ask("get a") == "+(nothing)"
