from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from interlock.domain.actions import Action
from interlock.domain.people import Contract, Identity, Person, Vendor
from interlock.domain.resources import CredentialSource, Resource, Selector
from interlock.domain.roles import ApprovalRule, Hold, Lending, Role
from interlock.errors import ConfigurationError
from interlock.policy.configuration import Address, Chain, Claims, Configuration, Separation, SeparationKind, Timing
from interlock.policy.load import load_configuration, load_configuration_file
from tests.policy.example import EXAMPLE, PAYROLL, load

SMALLEST = "resources: {}\n"


def test_resources_are_read() -> None:
    configuration = load()
    assert configuration.resources["orders"] == Resource(
        "orders",
        "postgres",
        "127.0.0.1",
        5432,
        CredentialSource("orders_app", "env:ORDERS_PASSWORD"),
        {"environment": "production"},
        {"database": "orders"},
    )
    scratch = configuration.resources["scratch"]
    assert (scratch.host, scratch.port, scratch.credential) == ("::1", 5433, None)
    assert scratch.settings == {"tls": {"mode": "require"}}


def test_people_and_contracts_are_read() -> None:
    configuration = load()
    assert configuration.vendors == {"acme": Vendor("acme"), "globex": Vendor("globex")}
    assert configuration.people["dev@globex.example"] == Person("dev@globex.example", "globex", frozenset({"ops"}))
    assert configuration.people["lead@example.com"].is_employee
    assert Identity("ssh", "SHA256:abc", "owner@example.com") in configuration.identities
    assert Identity("email", "dev@acme.example", "dev@acme.example") in configuration.identities
    assert configuration.contracts["globex-hosts"] == Contract(
        "globex-hosts",
        "globex",
        "lead@example.com",
        datetime(2026, 11, 1, 8, tzinfo=UTC),
        datetime(2026, 12, 31, 17, tzinfo=UTC),
        frozenset({"shell"}),
        frozenset({"dev@globex.example"}),
    )


def test_the_end_of_a_contract_is_the_last_day_inside() -> None:
    contract = load().contracts["acme-orders"]
    assert contract.start == datetime(2026, 11, 1, tzinfo=UTC)
    assert contract.running(datetime(2027, 2, 28, 23, 59, 59, 999999, tzinfo=UTC))
    assert not contract.running(datetime(2027, 3, 1, tzinfo=UTC))


def test_roles_are_read() -> None:
    roles = load().roles
    assert roles["writer"] == Role(
        "writer",
        Selector("postgres", labels={"environment": "production"}),
        frozenset({Action.CONNECT, Action.READ, Action.WRITE, Action.ALTER, Action.DESTROY}),
        Lending(timedelta(hours=2), (ApprovalRule(1, group="dba"), ApprovalRule(1, sponsor=True))),
        Hold(frozenset({Action.ALTER, Action.DESTROY})),
        100,
    )
    assert roles["shell"].on == Selector(names=frozenset({"bastion"}))
    assert roles["shell"].hold == Hold(
        frozenset({Action.EXECUTE}), (ApprovalRule(1, people=frozenset({"owner@example.com"}), same_vendor=True),)
    )
    assert roles["reader"].lending.mfa
    assert not roles["shell"].lending.mfa


def test_separations_and_chains_are_read() -> None:
    configuration = load()
    assert configuration.separations == (Separation(SeparationKind.CONFLICT, ("writer", "shell")),)
    assert configuration.conflicts == (frozenset({"writer", "shell"}),)
    assert configuration.chains["release"] == Chain(
        "release",
        ("develop", "review", "test", "deploy"),
        (
            Separation(SeparationKind.SEPARATE, ("develop", "review")),
            Separation(SeparationKind.SEPARATE, ("develop", "deploy")),
            Separation(SeparationKind.BIND, ("test", "deploy")),
            Separation(SeparationKind.INDEPENDENT, ("review",), by="vendor"),
            Separation(SeparationKind.AT_LEAST, ("develop", "review", "test", "deploy"), count=2),
            Separation(SeparationKind.AT_MOST, ("develop", "review", "test"), count=3),
        ),
        Claims(2, 2, 1),
    )


def test_how_it_runs_is_read() -> None:
    configuration = load()
    assert configuration.listen == {"console": Address("127.0.0.1", 0), "postgres": Address("127.0.0.1", 15432)}
    assert configuration.timing.login == timedelta(hours=4)
    assert configuration.timing.lock_wait == timedelta(seconds=1)
    assert configuration.state == "env:INTERLOCK_DATABASE"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "[::1]", "localhost", "[::]"])
def test_a_listener_may_let_clients_on_its_own_machine_in_without_tls(host: str) -> None:
    listener = f'postgres: {{address: "{host}:15432", clear_text: loopback}}'
    configuration = load(EXAMPLE.replace('postgres: "127.0.0.1:15432"', listener))
    assert configuration.listen["postgres"] == Address(host.strip("[]"), 15432)
    assert configuration.clear_text == {"postgres"}
    assert load().clear_text == frozenset()


def test_what_is_left_out_has_its_default() -> None:
    configuration = load(SMALLEST)
    assert configuration == Configuration(
        listen={"console": Address("127.0.0.1", 8443)}, text=SMALLEST, digest=configuration.digest
    )
    assert configuration.timing == Timing()


def test_every_kind_is_taken_when_the_kinds_are_not_known() -> None:
    configuration = load_configuration(EXAMPLE.replace("kind: toy", "kind: telegraph"), "interlock.yaml")
    assert configuration.resources["bastion"].kind == "telegraph"


def test_any_scheme_is_taken_when_the_schemes_are_not_known() -> None:
    text = EXAMPLE.replace("env:ORDERS_PASSWORD", "strongroom:orders")
    credential = load_configuration(text, "interlock.yaml").resources["orders"].credential
    assert credential is not None
    assert credential.secret == "strongroom:orders"
    with pytest.raises(ConfigurationError, match="never the secret itself"):
        load_configuration(EXAMPLE.replace("env:ORDERS_PASSWORD", "hunter2"), "interlock.yaml")


def test_the_digest_is_over_every_file() -> None:
    digests = {
        load().digest,
        load(EXAMPLE + "\n").digest,
        load(cedar={"a.cedar": PAYROLL}).digest,
        load(cedar={"b.cedar": PAYROLL}).digest,
        load(cedar={"a.cedar": PAYROLL + "\n"}).digest,
    }
    assert len(digests) == 5
    assert load().digest == load().digest


def test_a_whole_example_has_no_warning() -> None:
    assert load().warnings == ()


DEV = "  dev@acme.example: {vendor: acme}\n"
SCRATCH = """\
  scratch:
    kind: postgres
    address: "[::1]:5433"
    tls: {mode: require}
"""
TWIN = """\
  scratch:
    kind: postgres
    address: 127.0.0.1:5432
    database: orders
    credential: {user: orders_app, secret: env:ORDERS_PASSWORD}
"""
IDLE = "idle@globex.example comes from globex and no contract covers them"
TWICE = "- {conflict: [writer, shell]}\n  - {conflict: [shell, writer]}"


@pytest.mark.parametrize(
    ("old", "new", "warning"),
    [
        (DEV, f"{DEV}  idle@globex.example: {{vendor: globex}}\n", f"interlock.yaml:25: {IDLE}"),
        ("longest: 8h", "longest: 32d", "more than a month"),
        ("allow: [connect, read]", "allow: [read]", "the role reader does not allow connect"),
        (SCRATCH, TWIN, "scratch is the same database or host as orders"),
        ("- {conflict: [writer, shell]}", TWICE, "the conflict of shell, writer is said twice"),
    ],
)
def test_what_is_hardly_meant_is_warned_of(old: str, new: str, warning: str) -> None:
    assert old in EXAMPLE
    (line,) = load(EXAMPLE.replace(old, new)).warnings
    assert warning in line


def test_a_role_that_needs_two_persons_where_there_is_one_is_warned_of() -> None:
    alone = EXAMPLE.replace("    groups: [dba]\n", "").replace(
        "sponsor: owner@example.com", "sponsor: lead@example.com"
    )
    (warning,) = load(alone).warnings
    assert warning.startswith("interlock.yaml:46: as people stand, nobody could be lent the role writer")


def test_a_file_is_read_with_the_cedar_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "payroll.cedar").write_text(PAYROLL)
    (tmp_path / "policies" / "notes.txt").write_text("not a policy")
    path = tmp_path / "interlock.yaml"
    path.write_text(EXAMPLE)
    assert load_configuration_file(path).cedar == {"payroll.cedar": PAYROLL}


def failure(path: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_configuration_file(path)
    (mistake,) = caught.value.mistakes
    return mistake


def test_a_file_that_cannot_be_read_gives_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "interlock.yaml"
    assert failure(path) == f"interlock.yaml:1: there is no file {path}; give its path (to interlock up with --config)"
    path.write_bytes(b"resources:\n  caf\xe9: {}\n")
    assert failure(path) == "interlock.yaml:2: this is not UTF-8 text; save the file as UTF-8"
    path.write_text("cedar: policies\n")
    assert "policies is no folder" in failure(path)
    (tmp_path / "policies").mkdir()
    assert "has no file *.cedar in it" in failure(path)
    assert "cannot be read" in failure(tmp_path)
    path.write_text("cedar: [a]\n")
    assert failure(path).startswith("interlock.yaml:1: cedar is a list")


def test_own_recordings_are_refused_only_when_told() -> None:
    assert load_configuration("vendors: {}\n", "i.yaml").own_recordings
    assert load_configuration("recordings: {own: allow}\n", "i.yaml").own_recordings
    assert not load_configuration("recordings: {own: refuse}\n", "i.yaml").own_recordings
    with pytest.raises(ConfigurationError, match="neither allow nor refuse"):
        load_configuration("recordings: {own: maybe}\n", "i.yaml")
