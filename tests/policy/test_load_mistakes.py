"""Every mistake is named with its line. ``§`` in the broken text marks where the sentence must point."""

import pytest

from interlock.errors import ConfigurationError
from tests.policy.example import EXAMPLE, load


def mistakes_of(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load(text)
    return caught.value.mistakes


BASTION = "  bastion:\n    kind: toy\n    address: bastion.example.com:22\n"
DBA = "{from: {group: dba}, count: 1}], mfa"
CONSOLE_AT, POSTGRES_AT = 'console: "127.0.0.1:0"', 'postgres: "127.0.0.1:15432"'

CASES = [
    # names and keys
    ("vendors:\n", "§vendor:\n", "the configuration has an unknown key vendor; did you mean vendors?"),
    ("address: 127.0.0.1:5432", "§addres: 127.0.0.1:5432", "there is no setting addres"),
    ("{vendor: acme}", "{§vendr: acme}", "has an unknown key vendr; did you mean vendor?"),
    ("sponsor: owner@example.com,", "§sponser: owner@example.com,", "unknown key sponser; did you mean sponsor?"),
    ("fence: {rows: 100}", "fence: {§row: 100}", "the role writer has an unknown key row; did you mean rows?"),
    ("lock_wait: 1s", "lock: 1s§", "timing has an unknown key lock"),
    ("acme: {}", "acme: {§city: Rome}", "the vendor acme has an unknown key city"),
    ("  globex:\n", "  §globex: here\n", "the vendor globex is not a mapping"),
    ("  orders:\n", "  §or ders:\n", "the resource's name 'or ders' is not a name"),
    ("  dev@acme.example:", "  §dev/acme:", "the person's name dev/acme is not a name"),
    ("  dev@globex.example: {v", "  §LEAD@example.com: {v", "lead@example.com differ only in capitals"),
    ("{vendor: acme}", "{§vendor: acmee}", "there is no vendor acmee; did you mean acme?"),
    ("{groups: [dba, adm", "{groups: [§'d b', adm", "'d b' is no name of a group"),
    ("{groups: [dba, ", "{groups: [dba, §dba, ", "has dba twice"),
    ("ssh: [SHA256:abc", "ssh: [lead@example.com], email: [LEAD@example.com", "LEAD@example.com belongs to lead@"),
    # resources
    ("kind: toy", "§kind: tyo", "there is no kind tyo; did you mean toy?"),
    ("  bastion:\n    kind: toy\n", "  §bastion:\n", "the resource bastion has no kind; write kind: postgres, toy"),
    (BASTION, "  §bastion:\n    kind: toy\n", "has no address"),
    ("bastion.example.com:22", "§bastion.example.com", "write host and port, such as db.example.com:5432"),
    ("bastion.example.com:22", "§bastion.example.com:0", "a port is a number from 1 to 65535"),
    ("bastion.example.com:22", "§bastion.example.com:70000", "a port is a number from 1 to 65535"),
    ("bastion.example.com:22", "§bas tion:22", "names no possible host"),
    ("bastion.example.com:22", "§1.2.3.400:22", "names no possible host"),
    ("bastion.example.com:22", "§::1:22", "write an IPv6 address as [::1]:5432"),
    ("bastion.example.com:22", "§host:1x", "has no usable port"),
    ("secret: env:ORDERS_PASSWORD", "§secret: env:9 LIVES", "names no possible environment variable"),
    ("user: orders_app, ", "§", "the credential of the resource orders has no user"),
    ("database: orders", "§databse: orders", "there is no setting databse"),
    ("environment: production}\n  scratch", "§kind: production}\n  scratch", "no label can be called kind"),
    ("labels: {environment: test}", "§labels: test", "labels of the resource scratch are no mapping"),
    ("labels: {environment: test}", "§labels:", "the resource scratch has an empty labels"),
    # contracts
    ("vendor: acme, sponsor", "§vendor: acne, sponsor", "there is no vendor acne; did you mean acme?"),
    ("vendor: acme, sponsor", "§sponsor", "the contract acme-orders has no vendor"),
    ("sponsor: owner@example.com,", "§sponsor: owner@exmple.com,", "did you mean owner@example.com?"),
    ("sponsor: owner@example.com,", "§sponsor: dev@acme.example,", "the sponsor dev@acme.example comes from a vendor"),
    ("end: 2027-02-28", "§end: 2026-10-30", "the contract acme-orders ends before it starts"),
    ("end: 2027-02-28", "§end: 2027-02-30", "which is no day"),
    ("end: 2027-02-28", "§end: 2027-02-28T10:00:00", "does not say its time zone"),
    ("end: 2027-02-28", "§end: 9999-12-31", "which is no day"),
    ("start: 2026-11-01, ", "§", "the contract acme-orders has no start"),
    ("roles: [reader, writer]", "roles: [reader, §wirter]", "there is no role wirter; did you mean writer?"),
    ("roles: [reader, writer]", "§roles: []", "is an empty list; name the roles in its scope"),
    (", roles: [reader, writer]", "§", "the contract acme-orders has no roles"),
    ("    people: [dev@globex.example]", "    §people: []", "leave people out to cover everyone"),
    ("people: [dev@globex.example]", "people: [§dev@acme.example]", "dev@acme.example does not come from globex"),
    ("people: [dev@globex.example]", "people: [§dev@golbex.example]", "did you mean dev@globex.example?"),
    # roles
    ("{resources: [bastion]}", "{resources: [§bastian]}", "there is no resource bastian; did you mean bastion?"),
    ("{resources: [bastion]}", "{§kind: toys}", "none is of kind toys; the kinds of resources here: postgres, toy"),
    ("{resources: [bastion]}", "{§environment: tets}", "none has environment: tets; did you mean test?"),
    ("{resources: [bastion]}", "{§enviroment: test}", "did you mean environment?"),
    ("{resources: [bastion]}", "{§knd: toy}", "did you mean kind?"),
    ("on: {resources: [bastion]}", "§on: {kind: toy, environment: test}", "none meets all of it together"),
    ("on: {resources: [bastion]}", "§on: {}", "on of the role shell names no resource"),
    ("  shell:\n    on: {resources: [bastion]}\n", "  §shell:\n", "the role shell has no on"),
    ("allow: [connect, execute]", "allow: [connect, §exceute, execute]", "no action exceute; did you mean execute?"),
    ("allow: [connect, execute]", "§allow: []", "allow of the role shell is an empty list"),
    ("hold: [alter, destroy]", "hold: [alter, §grant]", "the role writer holds grant, which it does not allow"),
    ("hold: [alter, destroy]", "hold: [§connect]", "connect cannot be held"),
    ("hold: [alter, destroy]", "§hold:", "the role writer has an empty hold; write a value, or leave the key out"),
    ("hold: [alter, destroy]", "§hold: {approvals: []}", "hold of the role writer has no actions"),
    ("hold: [alter, destroy]", "hold: {actions: [alter], §approvals: []}", "is an empty list; leave approvals out"),
    ("hold: [alter, destroy]", "hold: [write]", "every write is held already, so the fence never acts"),
    ("write, alter, destroy]\n", "alter, destroy]\n", "the role writer has a fence and may not write"),
    ("fence: {rows: 100}", "§fence: {rows: 0}", "write a number from 1"),
    ("fence: {rows: 100}", "§fence: {rows: many}", "write a whole number"),
    ("fence: {rows: 100}", "§fence: 100", "fence of the role writer is not a mapping; it takes rows"),
    ("fence: {rows: 100}", "mask: [a.b.c, §a.b.c.d]", "mask of the role writer names no column by a.b.c.d"),
    ("fence: {rows: 100}", "mask: [§'x\")']", "names no column by"),
    ("fence: {rows: 100}", "§mask: []", "mask of the role writer is an empty list; name columns, or leave mask out"),
    ("[connect, execute]\n", "[connect, execute]\n    mask: x\n", "the role shell masks columns and may not read"),
    ("longest: 8h", "§longest: 0h", "is no time at all"),
    ("longest: 8h", "§longest: -8h", "write a whole number and a unit"),
    ("longest: 8h", "§longest: 8 hours", "write a whole number and a unit"),
    ("mfa: true", "§mfa: yes", "is yes; write true or false"),
    (DBA, "{from: {§group: dbas}, count: 1}], mfa", "no group dbas; did you mean dba?"),
    (DBA, "{from: {§group: administrators}}], mfa", "may end things, never give them"),
    (DBA, "{from: {group: dba}, §count: 3}], mfa", "asks for 3 persons of the group dba"),
    (DBA, "{from: {group: dba}, §count: 0}], mfa", "write a number from 1"),
    ("[{from: {group: dba}, count: 1}], mfa", "§[], mfa", "nobody takes a role without somebody else"),
    ("approvals: [{from: {group: dba}, count: 1}], mfa", "mfa§", "lend of the role reader has no approvals"),
    (DBA, "{§from: {}}], mfa", "describes nobody"),
    (DBA, "{§count: 1}], mfa", "has no from"),
    ("[{from: {sponsor: true}}]", "[{from: {§sponsor: false}}]", "is false; write sponsor: true, or leave it out"),
    ("people: [owner@example.com]}", "people: [§ower@example.com]}", "did you mean owner@example.com?"),
    ("roles: [shell]", "roles: [reader]§§", "no contract has the role shell in its scope"),
    # separations, chains
    ("{conflict: [writer, shell]}", "{conflict: [writer, §shel]}", "there is no role shel; did you mean shell?"),
    ("{conflict: [writer, shell]}", "{§conflict: [writer]}", "names one role; a conflict needs two"),
    ("{conflict: [writer, shell]}", "{conflcit: [writer, shell]}§", "did you mean conflict?"),
    ("duties: [develop, review, test, deploy]", "§duties: []", "name the duties in order"),
    ("[develop, review], [develop, d", "[develop, §reveiw], [develop, d", "no duty reveiw; did you mean review?"),
    ("[[develop, review], [develop, deploy]]", "[[§develop], [develop, deploy]]", "names one duty"),
    ("bind: [test, deploy]", "§bind: [review, develop]", "are bound to one person and kept separate"),
    ("{review: vendor}", "{§review: vendr}", "nothing is independent by vendr; did you mean vendor?"),
    ("{review: vendor}", "{§develop: vendor}", "develop is the first duty"),
    ("at_least: {persons: 2}", "§at_least: {persons: 5}", "write a number from 1 to 4"),
    ("{persons: 3, duties", "§{persons: 1, duties", "at most 1 persons contradicts separate, which needs 2"),
    ("min_persons: 2", "§min_persons: 9", "write a number from 1 to 4"),
    ("min_persons: 2", "§min_person: 2", "did you mean min_persons?"),
    # how it runs
    ("console:", "§consol:", "nothing called consol listens; did you mean console?"),
    ('"127.0.0.1:0"', '"§127.0.0.1:15432"', "postgres and console listen at the same 127.0.0.1:15432"),
    ('"127.0.0.1:0"', '"§127.0.0.1"', "write host and port, such as 127.0.0.1:8443"),
    (POSTGRES_AT, '§postgres: {clear_text: loopback}', "the listener postgres has no address"),
    (POSTGRES_AT, 'postgres: {address: "§127.0.0.1", clear_text: loopback}', "write host and port"),
    (POSTGRES_AT, 'postgres: {address: "127.0.0.1:1", §clear_txt: loopback}', "did you mean clear_text?"),
    (POSTGRES_AT, 'postgres: {address: "127.0.0.1:1", §clear_text: true}', "write loopback, or leave the key out"),
    (POSTGRES_AT, 'postgres: {address: "127.0.0.1:1", §clear_text: }', "has an empty clear_text"),
    (POSTGRES_AT, 'postgres: {address: "10.0.0.1:1", §clear_text: loopback}', "nobody on loopback reaches postgres at"),
    (CONSOLE_AT, 'console: {address: "127.0.0.1:0", §clear_text: loopback}', "only ever spoken to inside TLS"),
    ("login: 4h", "§login: 9h", "8h is the most"),
    ("login: 4h", "§login: 1m", "presence lasts longer than a login"),
    ("lease: 5s", "§lease: 0s", "is no time at all"),
    ("env:INTERLOCK_DATABASE", "§mysql://host/db", "state is no database that can be reached"),
    ("env:INTERLOCK_DATABASE", "§postgresql://host:x/db", "state is no database that can be reached"),
    ("env:INTERLOCK_DATABASE", "§postgresql://host", "state is no database that can be reached"),
    ("policies/", "§[a]", "cedar is a list"),
    # YAML
    ("mfa: true", "mfa: &m true", "&m is an anchor"),
    ("mfa: true", "mfa: *m", "*m is an alias"),
    ("mfa: true", "mfa: !!bool true", "is a tag"),
    ("  globex:\n", "  acme: §{}\n", "acme is already on line 17; keep one of the two"),
    ("mfa: true", "mfa: \"tr\\ue\"", "this is not YAML"),
    ("mfa: true", "mfa: true}}", "this is not YAML"),
    ("state: env", "---\nstate: env", "a second document begins here; keep everything in one"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "sentence"), CASES, ids=[sentence[:50] for _, _, sentence in CASES])
def test_each_mistake_is_named_with_its_line(old: str, new: str, sentence: str) -> None:
    assert old in EXAMPLE
    broken = EXAMPLE.replace(old, new, 1)
    lines = [mistake for mistake in mistakes_of(broken.replace("§", "")) if sentence in mistake]
    assert lines, mistakes_of(broken.replace("§", ""))
    if broken.count("§") == 1:
        place = broken.count("\n", 0, broken.index("§")) + 1
        assert any(line.startswith(f"interlock.yaml:{place}: ") for line in lines), (place, lines)


@pytest.mark.parametrize("secret", ["hunter2", "hunter2:but-longer", "'env:'", "vault:hunter2", "[hunter2]"])
def test_a_secret_in_the_wrong_place_is_never_quoted(secret: str) -> None:
    (mistake,) = mistakes_of(EXAMPLE.replace("env:ORDERS_PASSWORD", secret))
    assert "write env:NAME or file:PATH or openbao:PATH, never the secret itself" in mistake
    assert "hunter2" not in mistake


def test_a_database_url_is_never_quoted() -> None:
    (mistake,) = mistakes_of(EXAMPLE.replace("env:INTERLOCK_DATABASE", "postgres://me:hunter2@host/db"))
    assert "hunter2" not in mistake


def test_a_password_in_the_states_address_is_refused_because_gateways_read_this_file() -> None:
    (mistake,) = mistakes_of(EXAMPLE.replace("env:INTERLOCK_DATABASE", "postgresql://me:hunter2@host/db"))
    assert "a password stands in state" in mistake
    assert "env:NAME" in mistake
    assert "hunter2" not in mistake


def test_all_mistakes_are_said_at_once_in_the_order_of_the_file() -> None:
    broken = EXAMPLE
    for old, new in (
        ("vendor: acme}", "vendor: acmee}"),
        ("kind: toy", "kind: tyo"),
        ("rows: 100", "rows: x"),
        ("hold: [alter, destroy]", "hold: [alter, grant]"),
        ("lease: 5s", "lease: 5"),
    ):
        broken = broken.replace(old, new)
    found = [int(mistake.split(":")[1]) for mistake in mistakes_of(broken)]
    assert found == sorted(found)
    assert len(found) == 5


def test_one_mistake_does_not_drag_others_behind_it() -> None:
    """What refers to a name stays right when only the content under the name is wrong."""
    for old, new in (
        ("sponsor: lead", "sponser: lead"),
        ("kind: toy", "kind: tyo"),
        ("longest: 30m", "longest: x"),
        ("2027-02-28", "x"),
    ):
        assert len(mistakes_of(EXAMPLE.replace(old, new))) == 1


def test_very_many_mistakes_are_counted_rather_than_listed() -> None:
    found = mistakes_of("".join(f"key{number}: 1\n" for number in range(500)))
    assert len(found) == 201
    assert found[-1] == "interlock.yaml: and 300 more"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "1: the file is empty"),
        ("# nothing\n", "1: the file is empty"),
        ("~", "1: the file is empty"),
        ("just words", "1: the file is not a mapping"),
        ("- a\n- b\n", "1: the file is not a mapping"),
        ("a: \ud800", "1: this is not text; save the file as UTF-8"),
        ("a: \x00b", "1: this is not YAML"),
        ("a:\n\tb: c", "2: this is not YAML"),
        ("[" * 1000, "1: this is nested more than 24 deep"),
        ("a: " * 1000, "1: this is not YAML"),
        ("people: " + "{a: " * 1000, "1: this is nested more than 24 deep"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "1: &a is an anchor"),
        ("? {a: b}\n: c\n", "1: a key is a list or a mapping"),
        ("roles: [a]\n", "1: roles is not a mapping"),
        ("separations: {a: b}\n", "1: separations is no list"),
        ("x" * 17_000_000, "1: the file is longer than 16 MiB"),
    ],
    ids=range(16),
)
def test_what_is_no_configuration_gives_a_clear_sentence(text: str, sentence: str) -> None:
    assert mistakes_of(text)[0].startswith(f"interlock.yaml:{sentence}")
