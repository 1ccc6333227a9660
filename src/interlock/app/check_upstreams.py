"""Whether the resources can be reached, and whether they take the credential that the gateway will show."""

import asyncio
import contextlib
import ssl

import asyncpg

from interlock.app.finding import Finding, Verdict, bad, doubtful, good
from interlock.domain.resources import Resource
from interlock.domain.snapshot import UpstreamCredential
from interlock.errors import InterlockError
from interlock.ports.upstream import Tried
from interlock.protocols.postgres.settings import choose_tls
from interlock.services.credentials import Credentials

_CONNECT_S = 5.0


async def check_upstream(resource: Resource, credentials: Credentials) -> Finding:
    """One resource: its credential can be fetched, its address answers, and PostgreSQL takes the credential."""
    name = f"upstream {resource.name}"
    try:
        credential = None if resource.credential is None else await credentials.fetch(resource.credential)
    except InterlockError as error:
        return bad(name, f"{resource.name}: {error.sentence}", error.remedy)
    if resource.kind == "postgres" and credential is not None:
        return await _sign_in_to_postgres(name, resource, credential)
    try:
        await _touch(resource)
    except OSError as error:
        return _unreachable(name, resource, error)
    return good(name, f"{resource.name} answers at {resource.host}:{resource.port}.")


async def try_upstream(resource: Resource, credentials: Credentials) -> Tried:
    """The same for the page that sets an installation up."""
    found = await check_upstream(resource, credentials)
    return Tried(found.verdict is not Verdict.BAD, found.sentence, found.remedy, found.verdict is Verdict.DOUBTFUL)


async def _sign_in_to_postgres(name: str, resource: Resource, credential: UpstreamCredential) -> Finding:
    database = str(resource.settings.get("database") or resource.name)
    try:
        connection = await asyncpg.connect(
            host=resource.host,
            port=resource.port,
            user=credential.user,
            password=credential.secret,
            database=database,
            ssl=_tls(resource),
            timeout=_CONNECT_S,
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return bad(
            name,
            f"{resource.name} does not let {credential.user} in: {error}.",
            f"Check user and secret of resources.{resource.name}.credential, and the server's pg_hba.conf.",
        )
    except (OSError, TimeoutError, ssl.SSLError) as error:
        return _unreachable(name, resource, error)
    try:
        superuser = await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = session_user")
        creates = await connection.fetchval("SELECT rolcreaterole FROM pg_roles WHERE rolname = session_user")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        return doubtful(name, f"{resource.name} lets {credential.user} in, and then says: {error}.", "Look at its log.")
    finally:
        with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            await connection.close(timeout=_CONNECT_S)
    if resource.personal and not (superuser or creates):
        return bad(
            name,
            f"{resource.name} has account: per-person, and {credential.user} may not make roles there.",
            f"As a superuser of that server: ALTER ROLE {credential.user} CREATEROLE",
        )
    if superuser:
        return doubtful(
            name,
            f"{resource.name}: {credential.user} is a superuser there, who can do more than any role may lend.",
            "Give the gateway an account that owns what is worked on and nothing else.",
        )
    return good(name, f"{resource.name} answers and lets {credential.user} in.")


def _tls(resource: Resource) -> ssl.SSLContext | bool:
    chosen = choose_tls(resource)
    if chosen.mode == "disable":
        return False
    context = ssl.create_default_context(cafile=chosen.trust)
    context.check_hostname = chosen.mode == "verify-full"
    if chosen.mode == "require":
        context.verify_mode = ssl.CERT_NONE
    return context


async def _touch(resource: Resource) -> None:
    async with asyncio.timeout(_CONNECT_S):
        if resource.host.startswith("/"):
            _, writer = await asyncio.open_unix_connection(f"{resource.host}/.s.PGSQL.{resource.port}")
        else:
            _, writer = await asyncio.open_connection(resource.host, resource.port)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _unreachable(name: str, resource: Resource, error: Exception) -> Finding:
    why = "it did not answer in time" if isinstance(error, TimeoutError) else str(error)
    return bad(
        name,
        f"{resource.name} cannot be reached at {resource.host}:{resource.port}: {why}.",
        "Start it, or mend its address in interlock.yaml.",
    )
