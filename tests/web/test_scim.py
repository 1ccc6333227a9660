"""The directory's calls: the outside tester, and what a directory can and cannot do to people."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

from interlock.errors import Refusal
from interlock.policy.configuration import Scim
from interlock.store.home import StateAddress
from interlock.store.state import PostgresState
from tests.services.world import ADMIN, DBA, DEV, OPS, company
from tests.web.house import House, contracts_of_now, open_house, trust

SECRET = "0123456789abcdef" * 4
SCIM = Scim("env:SCIM", frozenset({"dba", "staff"}), most_ends=3)
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@pytest.fixture
async def house(state: PostgresState, state_database: StateAddress, tmp_path: Path) -> AsyncIterator[House]:
    configuration = company(contracts=contracts_of_now(), scim=SCIM)
    async with open_house(state, state_database, tmp_path, configuration=configuration, scim_secret=SECRET) as opened:
        yield opened


class Directory:
    """The company's directory, as far as HTTP."""

    def __init__(self, house: House, http: httpx2.AsyncClient) -> None:
        self.house, self.http = house, http

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        sent = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/scim+json", **headers}
        return await self.http.request(method, f"{self.house.server}/scim/v2{path}", json=body, headers=sent)

    async def add(self, name: str, **more: Any) -> dict[str, Any]:
        answer = await self.send("POST", "/Users", {"schemas": [USER], "userName": name, **more})
        assert answer.status_code == 201, answer.text
        said: dict[str, Any] = answer.json()
        return said

    async def patch(self, user: str, **values: Any) -> httpx2.Response:
        operations = [{"op": "replace", "path": path, "value": value} for path, value in values.items()]
        return await self.send("PATCH", f"/Users/{user}", {"schemas": [PATCH], "Operations": operations})

    async def group(self, name: str, *members: str) -> str:
        body = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "displayName": name,
            "members": [{"value": member} for member in members],
        }
        answer = await self.send("POST", "/Groups", body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])


@pytest.fixture
async def directory(house: House) -> AsyncIterator[Directory]:
    async with httpx2.AsyncClient(verify=trust(house.authority), trust_env=False) as http:
        yield Directory(house, http)


async def test_the_outside_tester_finds_nothing(
    state: PostgresState, state_database: StateAddress, tmp_path: Path
) -> None:
    configuration = company(contracts=contracts_of_now(), scim=Scim("env:SCIM", most_ends=10_000))
    async with open_house(state, state_database, tmp_path, configuration=configuration, scim_secret=SECRET) as house:

        def check() -> list[Any]:
            with httpx2.Client(
                base_url=f"{house.server}/scim/v2",
                verify=trust(house.authority),
                trust_env=False,
                headers={"Authorization": f"Bearer {SECRET}"},
            ) as http:
                return list(check_server(SyncSCIMClient(http)))

        results = await asyncio.to_thread(check)
    failed = [(one.title, one.reason) for one in results if one.status in (Status.ERROR, Status.CRITICAL)]
    assert failed == []
    assert sum(one.status is Status.SUCCESS for one in results) > 100


async def test_a_user_becomes_a_person_and_leaves_with_active_false(house: House, directory: Directory) -> None:
    made = await directory.add("new@corp.example")
    person = await house.signed_in("new@corp.example", present=True)
    request = await person.post(
        "/v1/requests", {"resource": "orders", "role": "reader", "duration_s": 600, "reason": "x"}
    )
    assert (await directory.patch(made["id"], active=False)).status_code in (200, 204)
    # by the directory's answer already
    with pytest.raises(Refusal) as caught:
        await person.get("/v1/whoami")
    assert caught.value.code == "login-ended"
    assert (await house.world.request(request["id"])).state == "withdrawn"
    (event,) = await house.world.events("person.ended")
    assert event["person"] == "new@corp.example"
    # It may take that back. Nothing of what there was comes with it, and the old token stays dead.
    assert (await directory.patch(made["id"], active=True)).status_code in (200, 204)
    with pytest.raises(Refusal):
        await person.get("/v1/whoami")
    assert (await (await house.signed_in("new@corp.example")).get("/v1/whoami"))["person"] == "new@corp.example"


async def test_a_deleted_user_never_comes_back(house: House, directory: Directory) -> None:
    made = await directory.add("new@corp.example")
    person = await house.signed_in("new@corp.example")
    assert (await directory.send("DELETE", f"/Users/{made['id']}")).status_code == 204
    with pytest.raises(Refusal):
        await person.get("/v1/whoami")
    assert (await directory.send("GET", f"/Users/{made['id']}")).status_code == 404
    await directory.add("new@corp.example")
    with pytest.raises(Refusal) as caught:
        await house.signed_in("new@corp.example")
    assert caught.value.code == "person-ended"


async def test_groups_are_those_that_it_may_fill(house: House, directory: Directory) -> None:
    made = await directory.add("new@corp.example")
    await directory.group("dba", made["id"])
    await directory.group("administrators", made["id"])
    await directory.group("ops", made["id"])
    async with house.world.state.reading() as reading:
        person = await reading.person("new@corp.example")
    assert person is not None
    assert person.groups == {"dba"}
    # Of who stands in the file, the groups are the file's.
    known = await directory.add(OPS)
    await directory.group("staff", known["id"], made["id"])
    async with house.world.state.reading() as reading:
        ops, person = await reading.person(OPS), await reading.person("new@corp.example")
    assert ops is not None
    assert person is not None
    assert ops.groups == {"ops"}
    assert person.groups == {"dba", "staff"}


async def test_who_can_be_nobody_here_is_nobody(house: House, directory: Directory) -> None:
    await directory.add("x@nowhere.example", **{ENTERPRISE: {"organization": "unknown"}, "schemas": [USER, ENTERPRISE]})
    await directory.add("two words")
    await directory.add("l" * 65)
    await directory.add(ADMIN.upper())
    await directory.add("sub@acme.example", **{ENTERPRISE: {"organization": "acme"}, "schemas": [USER, ENTERPRISE]})
    async with house.world.state.reading() as reading:
        names = {person.name: person for person in await reading.people()}
    assert not {"x@nowhere.example", "two words", "l" * 65, ADMIN.upper()} & names.keys()
    assert names["sub@acme.example"].vendor == "acme"


async def test_a_directory_that_errs_does_not_lock_everybody_out(house: House, directory: Directory) -> None:
    users = [await directory.add(f"n{number}@corp.example") for number in range(5)]
    answers = [await directory.patch(user["id"], active=False) for user in users]
    assert [answer.status_code for answer in answers[3:]] == [403, 403]
    assert "within an hour" in answers[3].json()["detail"]
    house.clock.advance(timedelta(hours=1, seconds=1))
    assert (await directory.patch(users[3]["id"], active=False)).status_code in (200, 204)
    admin = await directory.add(ADMIN)
    refused = await directory.patch(admin["id"], active=False)
    assert refused.status_code == 403
    assert "last" in refused.json()["detail"]


async def test_what_an_offboarding_ended_no_directory_revives(house: House, directory: Directory) -> None:
    made = await directory.add(DBA)
    admin = await house.signed_in(ADMIN)
    await admin.post(f"/v1/people/{DBA}/offboard", {"reason": "left"})
    assert (await directory.patch(made["id"], active=False)).status_code in (200, 204)
    assert (await directory.patch(made["id"], active=True)).status_code in (200, 204)
    with pytest.raises(Refusal) as caught:
        await house.signed_in(DBA)
    assert caught.value.code == "person-ended"


async def test_only_the_directory_calls_there(house: House, directory: Directory) -> None:
    person = await house.signed_in(ADMIN)
    for headers in (
        {"Authorization": ""},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {SECRET}"},
        {"Authorization": f"DPoP {person.auth.token}"},
        {"Authorization": "Bearer"},
    ):
        answer = await directory.send("GET", "/Users", **headers)
        assert answer.status_code == 401, headers
    assert (await directory.send("GET", "/Users")).status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "x" or 1 eq 1 --',
        'userName eq "x\') OR 1=1"',
        "userName eq",
        "(" * 200,
        'userName sw "' + "x" * 5000 + '"',
        'password eq "x"',
        'userName regex ".*"',
        'id eq "1"; drop table people',
    ],
)
async def test_filters_that_would_be_more(house: House, directory: Directory, text: str) -> None:
    await directory.add("new@corp.example")
    answer = await directory.http.get(
        f"{house.server}/scim/v2/Users",
        params={"filter": text},
        headers={"Authorization": f"Bearer {SECRET}"},
    )
    assert answer.status_code == 400 or answer.json()["totalResults"] == 0, answer.text


async def test_filters_pages_and_sorting_find_what_they_say(house: House, directory: Directory) -> None:
    """The honest twin of the filters that would be more."""
    for number in range(5):
        enterprise = {"department": f"D{number % 2}", "employeeNumber": str(number)}
        await directory.add(
            f"n{number}@corp.example", title=f"t'{number}\"", schemas=[USER, ENTERPRISE], **{ENTERPRISE: enterprise}
        )

    async def names(**params: Any) -> tuple[int, list[str]]:
        answer = await directory.http.get(
            f"{house.server}/scim/v2/Users", params=params, headers={"Authorization": f"Bearer {SECRET}"}
        )
        assert answer.status_code == 200, answer.text
        said = answer.json()
        return said["totalResults"], [one["userName"] for one in said.get("Resources", [])]

    assert await names(filter='userName eq "N3@corp.example"') == (1, ["n3@corp.example"])
    assert await names(filter='title eq "t\'2\\""') == (1, ["n2@corp.example"])
    department = f"{ENTERPRISE}:department"
    by_department = {"filter": f'{department} eq "D1" and not (userName sw "n3")', "sortBy": "userName"}
    assert await names(**by_department) == (1, ["n1@corp.example"])
    descending = {"filter": "userName pr", "sortBy": "userName", "sortOrder": "descending"}
    assert await names(**descending, startIndex=2, count=2) == (5, ["n3@corp.example", "n2@corp.example"])
    assert await names(filter="userName pr", startIndex=6, count=2) == (5, [])
    assert (await names(filter="userName pr", count=0))[0] == 5


async def test_a_patch_by_a_filter_and_a_bulk_do_to_people_what_they_say(house: House, directory: Directory) -> None:
    one, two = [(await directory.add(f"n{number}@corp.example"))["id"] for number in range(2)]
    group = await directory.group("dba", one, two)

    async def groups_of(name: str) -> frozenset[str]:
        async with house.world.state.reading() as reading:
            person = await reading.person(name)
        assert person is not None
        return person.groups

    operation = {"op": "remove", "path": f'members[value eq "{one}"]'}
    answer = await directory.send("PATCH", f"/Groups/{group}", {"schemas": [PATCH], "Operations": [operation]})
    assert answer.status_code in (200, 204), answer.text
    assert await groups_of("n0@corp.example") == frozenset()
    assert await groups_of("n1@corp.example") == {"dba"}
    person = await house.signed_in("n1@corp.example")
    bulk = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [
            {
                "method": "POST",
                "path": "/Users",
                "bulkId": "b1",
                "data": {"schemas": [USER], "userName": "n2@corp.example"},
            },
            {
                "method": "PATCH",
                "path": f"/Groups/{group}",
                "data": {
                    "schemas": [PATCH],
                    "Operations": [{"op": "add", "path": "members", "value": [{"value": "bulkId:b1"}]}],
                },
            },
            {
                "method": "PATCH",
                "path": f"/Users/{two}",
                "data": {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": False}]},
            },
        ],
    }
    answer = await directory.send("POST", "/Bulk", bulk)
    assert answer.status_code == 200, answer.text
    assert [str(done["status"])[0] for done in answer.json()["Operations"]] == ["2", "2", "2"]
    assert await groups_of("n2@corp.example") == {"dba"}
    with pytest.raises(Refusal) as caught:
        await person.get("/v1/whoami")
    assert caught.value.code == "login-ended"
    made = (await directory.send("GET", f"/Users/{one}")).json()
    fresh = await directory.send("GET", f"/Users/{one}", **{"If-None-Match": made["meta"]["version"]})
    assert fresh.status_code == 304


async def test_a_password_in_a_user_is_never_kept(house: House, directory: Directory) -> None:
    made = await directory.add("new@corp.example", password="secret of mine")
    assert "password" not in made
    async with house.world.state.reading() as reading:
        row = await reading.provisioned_one(made["id"])
        entries = await reading.ledger(limit=100_000)
    assert row is not None
    assert "secret of mine" not in str(row.content)
    assert not any(b"secret of mine" in entry.body for entry in entries)


async def test_a_stale_version_changes_nothing(house: House, directory: Directory) -> None:
    made = await directory.add("new@corp.example")
    stale = made["meta"]["version"]
    assert (await directory.patch(made["id"], title="one")).status_code in (200, 204)
    answer = await directory.send("DELETE", f"/Users/{made['id']}", **{"If-Match": stale})
    assert answer.status_code == 412


async def test_a_restart_leaves_the_directorys_people_alone(house: House, directory: Directory) -> None:
    await directory.add("new@corp.example")
    applied = await house.world.apply()
    assert applied.ended == ()
    assert (await (await house.signed_in("new@corp.example")).get("/v1/whoami"))["vendor"] is None
    assert (await (await house.signed_in(DEV)).get("/v1/whoami"))["vendor"] == "acme"
