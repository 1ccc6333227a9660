"""A role for each person and grant on a PostgreSQL server: ``account: per-person``.

The resource's own credential makes them. It needs CREATEROLE, and has to own what is granted or be a member of its
owner. What each action gives, on the schemas that the resource names and nowhere else:

=========  =============================================================================================
connect    CONNECT on the database, USAGE on the schemas
read       SELECT on tables and sequences
write      INSERT, UPDATE, DELETE on tables, USAGE on sequences
alter      CREATE on the schemas; REFERENCES and TRIGGER on tables
destroy    TRUNCATE on tables
execute    EXECUTE on routines
=========  =============================================================================================

``alter``, ``destroy`` and ``grant`` also make the role a member of ``owner``, where the resource names one: PostgreSQL
lets only owners alter and drop. It inherits that membership and cannot SET ROLE to it (SET FALSE, PostgreSQL 16).

Names and literals are quoted here and nowhere else: nothing of a person's name reaches the server unquoted.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import secrets
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC
from typing import Any

import asyncpg

from interlock.domain.actions import Action
from interlock.domain.resources import Resource
from interlock.domain.snapshot import UpstreamCredential
from interlock.errors import Failure
from interlock.ports.accounts import AccountThere, AccountWish
from interlock.protocols.postgres.scram import prepare
from interlock.protocols.postgres.settings import choose_tls

_CONNECT_S = 5.0
_STATEMENT_S = 30.0
_GONE_S = 5.0
_ITERATIONS = 4096
_LOCK = 0x1E7E_10C4
_OWNERS = frozenset({Action.ALTER, Action.DESTROY, Action.GRANT})


class PostgresAccounts:
    """PostgreSQL's :class:`~interlock.ports.accounts.AccountKeeping`."""

    async def make(self, resource: Resource, maker: UpstreamCredential, wish: AccountWish) -> None:
        async with _connected(resource, maker) as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", _LOCK, wish.name)
            for statement in await _making(connection, resource, wish):
                await connection.execute(statement)
            await _check_made(connection, resource, wish)

    async def end(self, resource: Resource, maker: UpstreamCredential, name: str) -> None:
        async with _connected(resource, maker) as connection:
            if not await _is_there(connection, name):
                return
            role, owner = identifier(name), resource.settings.get("owner")
            await connection.execute(f"ALTER ROLE {role} NOLOGIN")
            if owner is not None and await _is_member(connection, name, str(owner)):
                await connection.execute(f"REVOKE {identifier(str(owner))} FROM {role}")
            # Whoever ends its sessions and takes what it owns has to be a member; a superuser need not be.
            if not await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
                await connection.execute(f"GRANT {role} TO CURRENT_USER")
            await _sign_out(connection, name)
            heir = "CURRENT_USER" if owner is None else identifier(str(owner))
            async with connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", _LOCK, name)
                if await _is_there(connection, name):
                    await connection.execute(f"REASSIGN OWNED BY {role} TO {heir}")
                    await connection.execute(f"DROP OWNED BY {role}")
                    await connection.execute(f"DROP ROLE {role}")

    async def there(self, resource: Resource, maker: UpstreamCredential, installation: str) -> Sequence[AccountThere]:
        async with _connected(resource, maker) as connection:
            rows = await connection.fetch(
                "SELECT rolname, shobj_description(oid, 'pg_authid') AS said FROM pg_roles"
                " WHERE starts_with(shobj_description(oid, 'pg_authid'), $1)",
                _mark(installation, ""),
            )
        return [AccountThere(row["rolname"], row["said"].rpartition(" ")[2]) for row in rows]


async def _making(connection: Any, resource: Resource, wish: AccountWish) -> Sequence[str]:
    """The statements that make the account, or that make one which is there already what it must be."""
    role = identifier(wish.name)
    verb = "ALTER" if await _is_there(connection, wish.name) else "CREATE"
    until = wish.until.astimezone(UTC).isoformat()
    statements = [
        # The verifier, not the secret: a server that logs its statements has nothing to sign in with.
        f"{verb} ROLE {role} LOGIN PASSWORD {literal(scram_verifier(wish.secret))} VALID UNTIL {literal(until)}",
        f"COMMENT ON ROLE {role} IS {literal(_mark(wish.installation, wish.grant))}",
    ]
    database = identifier(database_of(resource))
    if not await connection.fetchval("SELECT has_database_privilege('public', current_database(), 'CONNECT')"):
        statements.append(f"GRANT CONNECT ON DATABASE {database} TO {role}")
    for schema in schemas_of(resource):
        statements += _granting(role, identifier(schema), wish.actions)
    owner = resource.settings.get("owner")
    if owner is not None and wish.actions & _OWNERS:
        if connection.get_server_version() < (16,):
            raise Failure(
                f"{resource.name} names an owner, and its server is older than PostgreSQL 16, where a member of the"
                " owner could become it.",
                f"Leave owner of {resource.name} out, or move to PostgreSQL 16.",
            )
        statements.append(f"GRANT {identifier(str(owner))} TO {role} WITH INHERIT TRUE, SET FALSE")
    return statements


def _granting(role: str, schema: str, actions: frozenset[Action]) -> Sequence[str]:
    tables = {
        Action.READ: ("SELECT",),
        Action.WRITE: ("INSERT", "UPDATE", "DELETE"),
        Action.ALTER: ("REFERENCES", "TRIGGER"),
        Action.DESTROY: ("TRUNCATE",),
    }
    sequences = {Action.READ: ("SELECT",), Action.WRITE: ("USAGE",)}
    on_tables = [word for action, words in tables.items() if action in actions for word in words]
    on_sequences = [word for action, words in sequences.items() if action in actions for word in words]
    create = ", CREATE" if Action.ALTER in actions else ""
    granted = [f"GRANT USAGE{create} ON SCHEMA {schema} TO {role}"]
    if on_tables:
        granted.append(f"GRANT {', '.join(on_tables)} ON ALL TABLES IN SCHEMA {schema} TO {role}")
    if on_sequences:
        granted.append(f"GRANT {', '.join(on_sequences)} ON ALL SEQUENCES IN SCHEMA {schema} TO {role}")
    if Action.EXECUTE in actions:
        granted.append(f"GRANT EXECUTE ON ALL ROUTINES IN SCHEMA {schema} TO {role}")
    return granted


async def _check_made(connection: Any, resource: Resource, wish: AccountWish) -> None:
    """A GRANT by somebody who may not grant is only warned of: look whether it was done."""
    for schema in schemas_of(resource):
        if not await connection.fetchval("SELECT has_schema_privilege($1, $2, 'USAGE')", wish.name, schema):
            raise _may_not(resource, f"grant rights on the schema {schema}")
    if not await connection.fetchval("SELECT has_database_privilege($1, current_database(), 'CONNECT')", wish.name):
        raise _may_not(resource, "let roles connect to the database")


async def _sign_out(connection: Any, name: str) -> None:
    """Nobody new can sign in any more: end who is."""
    async with asyncio.timeout(_GONE_S):
        signal = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1"
        while await connection.fetch(signal, name):  # noqa: ASYNC110 -- the server tells of no end
            await asyncio.sleep(0.05)


async def _is_there(connection: Any, name: str) -> bool:
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", name))


async def _is_member(connection: Any, name: str, of: str) -> bool:
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid"
            " JOIN pg_roles p ON p.oid = m.member WHERE r.rolname = $1 AND p.rolname = $2)",
            of,
            name,
        )
    )


@asynccontextmanager
async def _connected(resource: Resource, maker: UpstreamCredential) -> AsyncIterator[Any]:
    """A connection as the maker. Whatever the server says no to becomes a Failure that names the resource."""
    try:
        connection = await asyncpg.connect(
            host=resource.host,
            port=resource.port,
            user=maker.user,
            password=maker.secret,
            database=database_of(resource),
            ssl=_tls(resource),
            timeout=_CONNECT_S,
            command_timeout=_STATEMENT_S,
            server_settings={"application_name": "interlock accounts"},
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise Failure(
            f"{resource.name} does not let {maker.user} in to keep accounts: {_said(error)}.",
            "Type: interlock doctor",
        ) from error
    try:
        yield connection
    except asyncpg.InsufficientPrivilegeError as error:
        raise _may_not(resource, "do what keeping accounts takes", _said(error)) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise Failure(f"{resource.name} did not do what keeping accounts takes: {_said(error)}.") from error
    finally:
        with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            await connection.close(timeout=_CONNECT_S)


def _tls(resource: Resource) -> ssl.SSLContext | bool:
    chosen = choose_tls(resource)
    if chosen.mode == "disable":
        return False
    context = ssl.create_default_context(cafile=chosen.trust)
    context.check_hostname = chosen.mode == "verify-full"
    if chosen.mode == "require":
        context.verify_mode = ssl.CERT_NONE
    return context


def _said(error: Exception) -> str:
    return "it did not answer in time" if isinstance(error, TimeoutError) else str(error).strip().rstrip(".")


def _may_not(resource: Resource, what: str, said: str = "") -> Failure:
    user = resource.credential.user if resource.credential is not None else "nobody"
    quoted = f" The server said: {said}." if said else ""
    return Failure(
        f"{user} may not {what} on {resource.name}.{quoted}",
        f"Give {user} CREATEROLE there, and let it own the schemas, or be a member of their owner with ADMIN OPTION.",
    )


def database_of(resource: Resource) -> str:
    return str(resource.settings.get("database") or resource.name)


def schemas_of(resource: Resource) -> tuple[str, ...]:
    named = resource.settings.get("schemas") or ()
    return (named,) if isinstance(named, str) else tuple(str(name) for name in named)


def _mark(installation: str, grant: str) -> str:
    return f"made by Interlock {installation} for the grant {grant}"


def identifier(name: str) -> str:
    """A quoted identifier (PostgreSQL's documentation, 4.1.1). Raises Failure for what can be none."""
    if not name or "\0" in name:
        raise Failure("An account cannot have a name without characters, or with a NUL.")
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A quoted literal (4.1.2.2): a backslash means itself only in the form with E."""
    if "\0" in text:
        raise Failure("A NUL cannot be said to PostgreSQL.")
    quoted = "'" + text.replace("'", "''") + "'"
    return f" E{quoted}".replace("\\", "\\\\") if "\\" in text else quoted


def scram_verifier(secret: str) -> str:
    """What PostgreSQL keeps of a password: ``SCRAM-SHA-256$rounds:salt$StoredKey:ServerKey`` (RFC 5803)."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", prepare(secret), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${_ITERATIONS}:{salt64}${stored64}:{server64}"
