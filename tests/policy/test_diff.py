from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.domain.roles import ApprovalRule
from interlock.errors import ConfigurationError
from interlock.policy.configuration import Chain, Claims, Configuration, Separation, SeparationKind
from interlock.policy.diff import describe_changes
from interlock.policy.diff_chains import chain_changes
from tests.policy.example import EXAMPLE, PAYROLL, load

DBA_AND_SPONSOR = "1 person of the group dba and 1 person who sponsors the contract"


def changes(old: str, new: str, count: int = -1) -> tuple[str, ...]:
    assert old in EXAMPLE
    return describe_changes(load(), load(EXAMPLE.replace(old, new, count)))


def test_nothing_changed_is_nothing_to_say() -> None:
    assert describe_changes(load(), load("# a comment\n" + EXAMPLE)) == ()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("alter, destroy]\n    fence", "alter, destroy, grant]\n    fence", "The role writer now also allows grant."),
        ("hold: [alter, destroy]", "hold: [alter]", "The role writer no longer holds destroy."),
        ("    hold: [alter, destroy]\n", "", "The role writer no longer holds alter, destroy."),
        ("hold: [alter, destroy]", "hold: [alter, destroy, read]", "The role writer now also holds read."),
        ("rows: 100", "rows: 900", "The role writer has a fence at 900 rows (was 100 rows)."),
        ("    fence: {rows: 100}\n", "", "The role writer has no fence any more (was 100 rows)."),
        (
            "    fence: {rows: 100}\n",
            "    fence: {rows: 100}\n    mask: a.b.c\n",
            "The role writer now also masks a.b.c.",
        ),
        ("longest: 8h", "longest: 9h", "The role reader is lent for 9h at most (was 8h)."),
        (", mfa: true", "", "The role reader no longer asks for proof of presence."),
        ("mfa: false", "mfa: true", "The role shell now asks for proof of presence."),
        (
            "        - {from: {sponsor: true}, count: 1}\n",
            "",
            f"The role writer is lent by 1 person of the group dba (was {DBA_AND_SPONSOR}).",
        ),
        (
            "{from: {people: [owner@example.com]}, same_vendor: true}",
            "{from: {group: dba}, count: 2}",
            "The role shell asks for 2 persons of the group dba on a held statement (was 1 person among owner@",
        ),
        (
            "{kind: postgres, environment: production}\n    allow: [connect, read]\n",
            "{kind: postgres}\n    allow: [connect, read]\n",
            "The role reader concerns kind postgres (was kind postgres with environment=production).",
        ),
        ("{groups: [dba, adm", "{groups: [dba, ops, adm", "The person lead@example.com joined the group ops."),
        (
            "{groups: [dba, administrators]}",
            "{groups: [dba]}",
            "The person lead@example.com left the group administrators.",
        ),
        (
            "globex, groups: [ops]}",
            "globex, groups: [ops]}\n  new@example.com:",
            "The person new@example.com is new: an employee.",
        ),
        ("ssh: [SHA256:abc, ", "ssh: [", "The ssh identity SHA256:abc no longer leads to owner@example.com."),
        (
            "end: 2027-02-28",
            "end: 2027-03-31",
            "2027-04-01 00:00 UTC (was from 2026-11-01 00:00 until 2027-03-01 00:00 UTC).",
        ),
        ("sponsor: owner@", "sponsor: lead@", "The contract acme-orders is sponsored by lead@example.com (was owner@"),
        ("[reader, writer]}", "[writer]}", "The contract acme-orders no longer has in its scope reader."),
        ("    people: [dev@globex.example]\n", "", "The contract globex-hosts covers everyone of the vendor (was dev@"),
        ("example.com:22", "example.com:23", "The resource bastion is now toy at bastion.example.com:23 (was toy at"),
        (
            "user: orders_app",
            "user: postgres",
            "The resource orders is signed in to with another credential, as postgres.",
        ),
        ("{environment: test}", "{environment: tests}", "The resource scratch now has environment=tests (was test)."),
        ("    labels: {environment: test}\n", "", "The resource scratch no longer has the label environment."),
        ("database: orders", "database: postgres", "The resource orders has another database."),
        ("  globex:\n", "  globex:\n  initech:\n", "The vendor initech is new: people may come from initech."),
        (
            "[writer, shell]",
            "[writer, shell], kind: historic",
            "Nobody may now act under more than one of shell, writer over the same artifact.",
        ),
        ("[writer, shell]", "[writer, shell], kind: historic", "One person may now hold shell, writer together."),
        (
            "bind: [test, deploy]",
            "bind: [review, test]",
            "The chain release has changed: no longer one person for test, deploy; now one person for review, test.",
        ),
        ("lease: 5s", "lease: 6s", "The timing lease is 6s (was 5s)."),
        ("127.0.0.1:15432", "127.0.0.1:15433", "The listener postgres has changed."),
        (
            'postgres: "127.0.0.1:15432"',
            'postgres: {address: "127.0.0.1:15432", clear_text: loopback}',
            "The listener postgres now lets clients on its own machine in without TLS.",
        ),
        ("env:INTERLOCK_DATABASE", "embedded", "The state is kept in another database."),
    ],
)
def test_each_change_is_a_sentence(old: str, new: str, sentence: str) -> None:
    found = changes(old, new, 1)
    assert any(sentence in line for line in found), found
    assert len(found) <= 2
    assert all(line.endswith(".") for line in found)


def test_what_comes_and_goes_is_described() -> None:
    role = EXAMPLE[EXAMPLE.index("  reader:") : EXAMPLE.index("  writer:")]
    text = EXAMPLE.replace(role, "").replace("[reader, writer]", "[writer]")
    assert "The role reader is gone." in describe_changes(load(), load(text))
    assert (
        "The role reader is new: allows connect, read on kind postgres with environment=production, "
        "is lent for 8h by 1 person of the group dba, with proof of presence."
    ) in describe_changes(load(text), load())


def test_a_person_who_changes_sides_is_told() -> None:
    text = EXAMPLE.replace("    groups: [dba]\n", "    groups: [dba]\n    vendor: acme\n").replace(
        "sponsor: owner@example.com", "sponsor: lead@example.com"
    )
    assert "The person owner@example.com comes from acme (was an employee)." in describe_changes(load(), load(text))
    assert "The person owner@example.com is an employee (was from acme)." in describe_changes(load(text), load())


def test_cedar_files_are_compared_by_policy() -> None:
    one, two = (
        load(cedar={"a.cedar": PAYROLL}),
        load(cedar={"a.cedar": PAYROLL + "forbid (principal, action, resource);"}),
    )
    assert describe_changes(load(), one) == ("The Cedar file a.cedar has 2 new policies and 0 fewer.",)
    assert describe_changes(one, two) == ("The Cedar file a.cedar has 1 new policy and 0 fewer.",)
    assert describe_changes(two, one) == ("The Cedar file a.cedar has 0 new policies and 1 fewer.",)
    assert describe_changes(one, load(cedar={"a.cedar": "\n// moved\n" + PAYROLL})) == ()


def test_no_secret_is_shown() -> None:
    text = EXAMPLE.replace("env:INTERLOCK_DATABASE", "postgresql://hunter2@host/db")
    assert "hunter2" not in " ".join(describe_changes(load(), load(text)))


WORDS: Mapping[str, list[str]] = {
    "reader": ["writer", "shell"],
    "dba": ["ops"],
    "production": ["test"],
    "acme": ["globex"],
    "destroy": ["read", "execute"],
    "2h": ["3h"],
    "owner@example.com": ["lead@example.com"],
    "develop": ["review"],
    "true": ["false"],
    "5432": ["5433"],
    "2026-11-01": ["2026-11-02"],
    "100": ["101"],
    "count: 1": ["count: 2"],
    "10m": ["11m"],
    "orders": ["scratch"],
    "SHA256:abc": ["SHA256:xyz"],
}


def meaning(configuration: Configuration) -> Configuration:
    return replace(configuration, text="", digest="", warnings=())


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(WORDS)), st.integers(0, 8), st.data())
def test_no_change_of_meaning_goes_unsaid(word: str, which: int, data: st.DataObject) -> None:
    pieces = EXAMPLE.split(word)
    which %= len(pieces) - 1
    put = data.draw(st.sampled_from(WORDS[word]))
    text = word.join(pieces[: which + 1]) + put + word.join(pieces[which + 1 :])
    try:
        changed = load(text)
    except ConfigurationError:
        return
    assert bool(describe_changes(load(), changed)) is (meaning(load()) != meaning(changed))


def test_who_can_be_invited_is_told() -> None:
    closed, open_, wrong = (
        EXAMPLE.replace("roles: [reader, writer]}", f"roles: [reader, writer], invitations: {word}}}")
        for word in ("false", "true", "never")
    )
    assert describe_changes(load(), load(closed)) == ("Under the contract acme-orders nobody can be invited.",)
    assert describe_changes(load(), load(open_)) == ()
    with pytest.raises(ConfigurationError, match="invitations of the contract acme-orders is"):
        load(wrong)


def test_a_chain_is_told_with_who_may_carry_what() -> None:
    separate = Separation(SeparationKind.SEPARATE, ("make", "check"))
    apart = Separation(SeparationKind.INDEPENDENT, ("check",), by="vendor")
    two = Separation(SeparationKind.AT_LEAST, ("make", "check", "pay"), count=2)
    plain = Chain("pay", ("make", "check"), (separate,), takers={"check": ApprovalRule(1, group="dba")})
    other = Chain("pay", ("make", "check", "pay"), (apart, two), refuses_dead_ends=True, roles={"pay": "payer"})
    claimed = replace(plain, claims=Claims(min_persons=2))
    assert list(chain_changes({}, {"pay": plain})) == [
        (
            "The chain pay is new: its duties are make, check; separate persons for make, check; "
            "check may be carried by anybody of the group dba."
        )
    ]
    assert list(chain_changes({"pay": plain}, {})) == ["The chain pay is gone."]
    assert list(chain_changes({"pay": plain}, {"pay": claimed})) == ["The chain pay has changed."]
    assert list(chain_changes({"pay": plain}, {"pay": other})) == [
        (
            "The chain pay has changed: its duties are make, check, pay (was make, check); "
            "no longer separate persons for make, check; now another vendor for check than for the duty before; "
            "now at least 2 persons for make, check, pay; "
            "check may be carried by anybody (was anybody of the group dba); "
            "pay is carried under payer (was under none); dead ends are refused."
        )
    ]
