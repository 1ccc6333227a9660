"""The tables of the state, in the schema ``interlock``.

Columns carry the names of the entities' fields. Times are ``timestamptz``, sets and lists of names ``text[]`` (sets
sorted), durations ``interval``. ``json`` is used where the content is not ours to have columns for: what a request
asks (as it was digested, hence ``json`` and not ``jsonb``), its rules, and the Cedar files of a policy.
"""

from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Interval,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR

SCHEMA = "interlock"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    },
)


def _key(name: str) -> Column[str]:
    return Column(name, Text, primary_key=True)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _maybe_text(name: str) -> Column[str | None]:
    return Column(name, Text, nullable=True)


def _names(name: str) -> Column[Any]:
    return Column(name, ARRAY(Text), nullable=False)


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _time(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False)


def _maybe_time(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=True)


def _refers(name: str, to: str, *, primary_key: bool = False, nullable: bool = False) -> Column[Any]:
    # Deferred: one unit of work may save a thing before what it refers to.
    reference = ForeignKey(f"{SCHEMA}.{to}", deferrable=True, initially="DEFERRED")
    return Column(name, Text, reference, primary_key=primary_key, nullable=nullable)


vendors = Table("vendors", metadata, _key("name"))

people = Table(
    "people",
    metadata,
    _key("name"),
    _refers("vendor", "vendors.name", nullable=True),
    _names("groups"),
    _maybe_time("ended_at"),
)

identities = Table(
    "identities",
    metadata,
    _key("kind"),
    _key("subject"),
    _refers("person", "people.name"),
    Column("configured", Boolean, nullable=False),
    _maybe_time("ended_at"),
)

contracts = Table(
    "contracts",
    metadata,
    _key("name"),
    _refers("vendor", "vendors.name"),
    _refers("sponsor", "people.name"),
    _time("start"),
    _time("end"),
    _names("roles"),
    _names("people"),
    _maybe_time("ended_at"),
    Column("review", Interval, nullable=True),
    _maybe_time("confirmed_at"),
    _maybe_time("paused_at"),
    _text("paused_reason"),
    _maybe_time("extended_from"),
    _maybe_time("warned_at"),
)

requests = Table(
    "requests",
    metadata,
    _key("id"),
    _text("kind"),
    _refers("person", "people.name"),
    _text("resource"),
    _text("role"),
    Column("content", JSON, nullable=False),
    _text("digest"),
    Column("rules", JSON, nullable=False),
    _text("reason"),
    _text("key"),
    _time("opened_at"),
    _time("expires_at"),
    _text("state"),
    _maybe_time("decided_at"),
    _maybe_text("session"),
    Column("duration", Interval, nullable=True),
    _maybe_text("decided_by"),
    _text("decided_reason"),
    _text("artifact"),
    Index(None, "artifact"),
    Index(None, "opened_at"),
    Index(None, "person", "opened_at"),
    Index(None, "state", "opened_at"),
)

approvals = Table(
    "approvals",
    metadata,
    _refers("request", "requests.id", primary_key=True),
    _refers("person", "people.name", primary_key=True),
    _text("digest"),
    _time("at"),
    _maybe_time("present_at"),
)

grants = Table(
    "grants",
    metadata,
    _key("id"),
    _refers("request", "requests.id"),
    _refers("person", "people.name"),
    _text("role"),
    _text("resource"),
    _text("key"),
    _time("starts_at"),
    _time("ends_at"),
    _refers("contract", "contracts.name", nullable=True),
    _maybe_time("ended_at"),
    _maybe_text("ended_by"),
    _text("ended_reason"),
    Index(None, "ends_at"),
    Index(None, "person", "ends_at"),
)

logins = Table(
    "logins",
    metadata,
    _key("id"),
    _refers("person", "people.name"),
    _text("key"),
    _time("signed_in_at"),
    _time("ends_at"),
    _maybe_time("present_at"),
    _maybe_time("ended_at"),
    _text("workload"),
    _text("rule"),
    Index(None, "ends_at"),
    Index(None, "person", "ends_at"),
    Index(None, "key"),
)

activities = Table(
    "activities",
    metadata,
    _key("id"),
    _refers("person", "people.name"),
    _text("resource"),
    _refers("login", "logins.id"),
    _names("grants"),
    _text("gateway"),
    _text("address"),
    _text("client"),
    _time("opened_at"),
    _maybe_time("closed_at"),
    _text("closed_why"),
    _number("statements"),
    _text("cut_why"),
    _text("recording"),
    _number("rows"),
    _number("refused"),
    _text("held_why"),
    Index(None, "opened_at"),
    Index(None, "person", "opened_at"),
    Index("ix_activities_live", "opened_at", postgresql_where=text("closed_at IS NULL")),
)

local_credentials = Table(
    "local_credentials",
    metadata,
    _refers("person", "people.name", primary_key=True),
    _text("password_hash"),
    _maybe_text("totp_secret"),
    _number("totp_last_step"),
    _maybe_time("set_at"),
)

enrolments = Table(
    "enrolments",
    metadata,
    _key("code_hash"),
    _refers("person", "people.name"),
    _text("issued_by"),
    _time("issued_at"),
    _time("expires_at"),
    _maybe_time("used_at"),
)

attempts = Table(
    "attempts", metadata, _key("subject"), _number("failures"), _time("last_at"), _maybe_time("blocked_until")
)

connection_passwords = Table(
    "connection_passwords",
    metadata,
    _key("hash"),
    _refers("person", "people.name"),
    _refers("login", "logins.id"),
    _text("resource"),
    _time("issued_at"),
    _time("expires_at"),
    _maybe_time("used_at"),
    _number("connections"),
    _number("used"),
    _maybe_text("address"),
    Index(None, "expires_at"),
)

connection_passes = Table(
    "connection_passes",
    metadata,
    _key("id"),
    _refers("person", "people.name"),
    _refers("login", "logins.id"),
    _text("key"),
    _text("resource"),
    _names("grants"),
    _text("digest"),
    _text("how"),
    _time("present_at"),
    _time("expires_at"),
    _number("connections"),
    _number("used"),
    _maybe_time("used_at"),
    _maybe_text("address"),
    _text("password"),
    Index(None, "login", "expires_at"),
    Index(None, "expires_at"),
)

gateways = Table(
    "gateways",
    metadata,
    _key("name"),
    Column("key", Text, nullable=False, unique=True),
    _time("joined_at"),
    _maybe_time("ended_at"),
)

policies = Table(
    "policies",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    _text("digest"),
    _text("yaml"),
    Column("cedar", JSON, nullable=False),
)

oauth_clients = Table(
    "oauth_clients",
    metadata,
    _key("id"),
    _text("kind"),
    _text("name"),
    _names("redirect_uris"),
    Column("jwks", JSON, nullable=False),
    _time("registered_at"),
    _refers("owner", "people.name", nullable=True),
    _maybe_time("ended_at"),
)

delegations = Table(
    "delegations",
    metadata,
    _key("id"),
    _refers("person", "people.name"),
    _refers("login", "logins.id"),
    _text("client"),
    _names("scopes"),
    _text("key"),
    _text("code_hash"),
    _text("challenge"),
    _text("redirect_uri"),
    _time("given_at"),
    _time("code_until"),
    _time("ends_at"),
    _maybe_time("exchanged_at"),
    _number("generation"),
    _maybe_text("actor"),
    _maybe_time("ended_at"),
    _text("ended_reason"),
    Index(None, "client"),
    Index(None, "code_hash"),
    Index(None, "login"),
    Index(None, "person"),
)

passkeys = Table(
    "passkeys",
    metadata,
    _key("id"),
    _refers("person", "people.name"),
    _text("public_key"),
    _number("uses"),
    _text("name"),
    _time("added_at"),
    _maybe_time("used_at"),
    _maybe_time("ended_at"),
    Index(None, "person"),
)

provisioned = Table(
    "provisioned",
    metadata,
    _key("id"),
    _text("kind"),
    _text("name"),
    Column("content", JSON, nullable=False),
    _number("version"),
    _time("created_at"),
    _time("modified_at"),
    _refers("person", "people.name", nullable=True),
    _maybe_time("suspended_at"),
    _maybe_time("deleted_at"),
    Index(None, "kind", "name"),
    Index(None, "person"),
)

extensions = Table(
    "extensions",
    metadata,
    _refers("contract", "contracts.name", primary_key=True),
    _time("until"),
    _refers("asked_by", "people.name"),
    _text("key"),
    _text("reason"),
    _time("asked_at"),
    _time("expires_at"),
    _refers("decided_by", "people.name", nullable=True),
    _maybe_time("decided_at"),
    Column("agreed", Boolean, nullable=False),
)

duties = Table(
    "duties",
    metadata,
    _key("id"),
    _text("chain"),
    _text("artifact"),
    _text("duty"),
    _refers("person", "people.name"),
    _time("taken_at"),
    _text("content"),
    _maybe_time("done_at"),
    _maybe_time("voided_at"),
    _text("voided_why"),
    Index(None, "artifact", "chain"),
)

alarms = Table(
    "alarms",
    metadata,
    _key("detection"),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    _text("response"),
    _time("at"),
    _text("sentence"),
    _text("person"),
    _text("session"),
    _text("resource"),
    _text("grant"),
    _names("sessions"),
    Index(None, "position"),
)

evidence = Table(
    "evidence",
    metadata,
    _key("id"),
    _text("chain"),
    _text("duty"),
    _text("repository"),
    _text("commit"),
    _text("tree"),
    _text("base"),
    _text("branch"),
    _refers("person", "people.name"),
    _text("how"),
    _time("at"),
    _text("envelope"),
    _text("environment"),
    _text("landed"),
    _text("source"),
    _text("subject"),
    _names("commits"),
    _maybe_time("voided_at"),
    _text("voided_why"),
    Index(None, "commit"),
    Index(None, "landed"),
    Index(None, "subject"),
    Index(None, "repository", "source"),
    Index(None, "repository", "environment", "duty", "at"),
    Index(None, "commits", postgresql_using="gin"),
)

segments = Table(
    "segments",
    metadata,
    _key("session"),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    _text("digest"),
    _number("records"),
    _time("kept_at"),
)
"""No reference to the session: many are written in one report, and the ledger has them in order."""

recording_keys = Table(
    "recording_keys",
    metadata,
    _key("session"),
    _text("wrapped"),
    _text("master"),
    _time("made_at"),
    _maybe_time("destroyed_at"),
    _maybe_time("erased_at"),
    Index(None, "master"),
    Index(
        "ix_recording_keys_to_erase", "session", postgresql_where=text("destroyed_at IS NOT NULL AND erased_at IS NULL")
    ),
)

legal_holds = Table(
    "legal_holds",
    metadata,
    _key("id"),
    _text("session"),
    _text("person"),
    _text("resource"),
    _text("reason"),
    _text("placed_by"),
    _time("placed_at"),
    _maybe_time("lifted_at"),
    _maybe_text("lifted_by"),
)

accounts = Table(
    "accounts",
    metadata,
    _refers("id", "grants.id", primary_key=True),
    _refers("person", "people.name"),
    _text("resource"),
    _text("name"),
    _time("made_at"),
    _maybe_time("ended_at"),
)

proposals = Table(
    "proposals",
    metadata,
    _refers("request", "requests.id", primary_key=True),
    _text("base"),
    _text("digest"),
    _text("yaml"),
    Column("cedar", JSON, nullable=False),
)

chat_links = Table(
    "chat_links",
    metadata,
    _key("notifier"),
    _key("subject"),
    _refers("person", "people.name"),
    _text("shown"),
    _time("linked_at"),
    _maybe_time("ended_at"),
    Index(None, "person"),
)

invitations = Table(
    "invitations",
    metadata,
    _key("id"),
    _text("code_hash"),
    _refers("contract", "contracts.name"),
    _text("person"),
    _refers("invited_by", "people.name"),
    _time("invited_at"),
    _time("expires_at"),
    _maybe_text("key"),
    _maybe_time("opened_at"),
    _text("address"),
    _maybe_time("foreign_at"),
    _refers("confirmed_by", "people.name", nullable=True),
    _maybe_time("confirmed_at"),
    Column("made", Boolean, nullable=False),
    _maybe_time("used_at"),
    _maybe_time("ended_at"),
    Index(None, "code_hash", unique=True),
    Index(None, "person"),
)

STATE_TABLES = (
    vendors,
    people,
    identities,
    contracts,
    requests,
    approvals,
    grants,
    logins,
    activities,
    local_credentials,
    enrolments,
    attempts,
    connection_passwords,
    connection_passes,
    gateways,
    policies,
    oauth_clients,
    delegations,
    passkeys,
    provisioned,
    extensions,
    duties,
    alarms,
    evidence,
    segments,
    recording_keys,
    accounts,
    legal_holds,
    proposals,
    chat_links,
    invitations,
)
"""Every table whose rows are state: none of them changes without a ledger entry in the same transaction."""

ledger = Table(
    "ledger",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    _time("at"),
    _text("actor"),
    _text("kind"),
    Column("body", LargeBinary, nullable=False),
    Column("link", LargeBinary, nullable=False),
    Column("transaction", BigInteger, nullable=False, index=True),
)
"""The events in their places. ``transaction`` is set by the database and is no part of an entry."""

changes = Table(
    "changes",
    metadata,
    Column("position", BigInteger, ForeignKey(ledger.c.position), primary_key=True, autoincrement=False),
    Column("entity", Text, primary_key=True),
    Column("key", ARRAY(Text), primary_key=True),
    Index("ix_changes_entity_position", "entity", "position"),
)
"""Which entities a unit of work touched, at the position of its last event: what the feed reads."""

seen_proofs = Table(
    "seen_proofs",
    metadata,
    Column("proof", LargeBinary, primary_key=True),
    Column("until", DateTime(timezone=True), nullable=False, index=True),
)
"""DPoP proofs that were used. A cache, not state: it says nothing that the ledger should."""

waiting = Table(
    "waiting",
    metadata,
    _key("name"),
    Column("content", JSON, nullable=False),
    Column("until", DateTime(timezone=True), nullable=False, index=True),
    Column("origin", Text, nullable=False, index=True),
)
"""What strangers began and may come back to within minutes. Not state: nothing rests on it."""

followings = Table(
    "followings",
    metadata,
    _key("gateway"),
    _key("worker"),
    _number("applied"),
    Column("until", DateTime(timezone=True), nullable=False, index=True),
)
"""Which gateway workers may still go on with what they were told, until when, and up to where they have applied it.
Not state: each says it anew as it follows."""

tellings = Table(
    "tellings",
    metadata,
    _key("sink"),
    _number("position"),
    _text("teller"),
    _time("until"),
    _text("fault"),
)
"""How far each sink and each receiver was told, and which control plane tells it. Not state."""

watch_memory = Table("watch_memory", metadata, _key("name"), Column("content", JSON, nullable=False))
"""How far the watch has read, and what it makes of it. Not state: it follows from the ledger."""

letters = Table(
    "letters",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    _key("notifier"),
    _key("person"),
    _text("request"),
    Column("content", JSON, nullable=False),
    _names("tell"),
    _text("revises"),
    _time("put_at"),
    _maybe_time("due_at"),
    _number("tries"),
    _text("why"),
    _maybe_time("done_at"),
    _text("receipt"),
    Index("ix_letters_waiting", "notifier", "due_at", postgresql_where=text("done_at IS NULL")),
    Index("ix_letters_person", "person", "position", postgresql_where=text("due_at IS NULL")),
    Index("ix_letters_request", "request", postgresql_where=text("receipt <> ''")),
    Index(None, "put_at"),
)
"""What is to be told to whom, outside and on the pages. Not state: nothing rests on it."""

letters_upto = Table("letters_upto", metadata, _key("name"), _number("position"))
"""Up to which ledger position what is to be told is in ``letters``."""

segment_words = Table(
    "segment_words",
    metadata,
    _key("session"),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("part", BigInteger, primary_key=True, autoincrement=False),
    _text("person"),
    _text("resource"),
    _time("kept_at"),
    Column("words", TSVECTOR, nullable=False),
    Column("any_words", Boolean, nullable=False),
    Index(None, "kept_at"),
    Index(None, "words", postgresql_using="gin"),
)
"""Which words a segment's statements have: keyed hashes of them. Not state: it is made anew from the recordings."""

segment_words_upto = Table("segment_words_upto", metadata, _key("name"), _number("position"))
"""Up to which ledger position segments are in ``segment_words``."""
