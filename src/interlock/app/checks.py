"""What `interlock doctor` looks at, each as a finding: a sentence, and how to mend it.

Nothing here changes anything, and each check stands alone: one that cannot be made says so and the others go on.
"""

import asyncio
import os
import shutil
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx2
from cryptography import x509

from interlock.app.check_ledger import check_ledger, check_stores
from interlock.app.check_notifiers import check_notifiers
from interlock.app.check_sinks import check_sinks
from interlock.app.check_upstreams import check_upstream
from interlock.app.compiled import REMEDY, SLOWER, find_uncompiled
from interlock.app.data_folder import DataFolder, weaknesses
from interlock.app.finding import Finding, Verdict, bad, doubtful, good
from interlock.app.installation import Adapters, read_active_policy, running_state
from interlock.app.listen import reachable_host, reserve, wanted_addresses
from interlock.app.places import places_of
from interlock.app.plan import Plan, kept_plan
from interlock.app.psql import find_psql
from interlock.errors import InterlockError
from interlock.policy.configuration import CONSOLE, Address, Configuration
from interlock.services.credentials import Credentials

__all__ = ["Finding", "Verdict", "examine"]

_SMALL_BYTES, _TINY_BYTES = 1024**3, 100 * 1024**2
_CLOCK_S = 5.0
_CONNECT_S = 5.0


def examine(data: Path, config: Path | None) -> list[Finding]:
    """Every check, in the order in which things depend on one another."""
    try:
        adapters = Adapters()
    except InterlockError as error:
        return [bad("adapters", error.sentence, error.remedy)]
    findings: list[Finding] = []
    folder = _existing(data, findings)
    plan, configuration = _configuration(adapters, folder, config, findings)
    if folder is not None:
        active = _active(folder, plan)
        if config is None and active is not None:
            configuration = active
        findings.extend(_check_folder(folder))
        findings.extend(_check_certificates(folder))
        machine = configuration if plan is None else plan.configuration
        if machine is not None:
            findings.extend(check_stores(places_of(folder, machine)))
        findings.extend(_check_running(folder, plan, active))
    if configuration is not None:
        if folder is None or folder.owner() is None:
            findings.extend(_check_ports(configuration, adapters))
        findings.extend(asyncio.run(_check_upstreams(configuration, adapters)))
    findings.append(_check_psql())
    findings.append(_check_compiled())
    return findings


def _existing(data: Path, findings: list[Finding]) -> DataFolder | None:
    root = data.expanduser().absolute()
    if not root.is_dir():
        findings.append(
            doubtful(
                "data", f"There is no data folder at {root}.", "Start with `interlock up`, or name it with --data."
            )
        )
        return None
    if not os.access(root, os.R_OK | os.X_OK):
        sentence = f"This account may not look into the data folder {root}."
        findings.append(
            bad("data", sentence, "Be the account that runs Interlock, or name another folder with --data.")
        )
        return None
    return DataFolder(root)


def _configuration(
    adapters: Adapters, folder: DataFolder | None, config: Path | None, findings: list[Finding]
) -> tuple[Plan | None, Configuration | None]:
    plan = None
    if folder is not None and (folder.run / "plan.json").exists():
        try:
            plan = kept_plan(folder, adapters)
        except InterlockError as error:
            findings.append(bad("plan", error.sentence, error.remedy))
    path = config or (None if plan is not None else Path("interlock.yaml"))
    if path is None or (plan is not None and config is None):
        return plan, plan.configuration if plan is not None else None
    try:
        configuration = adapters.load(path)
    except InterlockError as error:
        findings.append(bad("configuration", error.sentence, error.remedy or "See: interlock policy check FILE"))
        return plan, plan.configuration if plan is not None else None
    findings.append(good("configuration", f"{path} is in order."))
    return plan, configuration


def _active(folder: DataFolder, plan: Plan | None) -> Configuration | None:
    """What is in force in the instance that runs: since the start the policy may have changed."""
    if folder.owner() is not None:
        with suppress(InterlockError):  # why it cannot be read is said by the check of the database
            return read_active_policy(folder.root)
    return None if plan is None else plan.configuration


def _check_folder(folder: DataFolder) -> Iterator[Finding]:
    weak = weaknesses(folder)
    for sentence in weak:
        what, _, remedy = sentence.partition(": ")
        yield bad("permissions", f"{what}.", f"{remedy[:1].upper()}{remedy[1:]}")
    if not weak:
        yield good("permissions", f"{folder.root} is closed to others.")
    free = shutil.disk_usage(folder.root).free
    text = f"{free / 1024**3:.1f} GiB are free under {folder.root}."
    if free < _TINY_BYTES:
        yield bad("disk", text, "Make room: when a recording cannot be written, the sessions that need it end.")
    elif free < _SMALL_BYTES:
        yield doubtful("disk", text, "Make room before the recordings fill it.")
    else:
        yield good("disk", text)


def _check_certificates(folder: DataFolder) -> Iterator[Finding]:
    for name, what in (("authority.pem", "The authority's certificate"), ("server.pem", "The server's certificate")):
        path = folder.keys / name
        if not path.exists():
            continue
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
        except (OSError, ValueError):
            yield bad("certificates", f"{path} cannot be read.", "Restore it from your backup.")
            continue
        ends = certificate.not_valid_after_utc
        rest = ends - datetime.now(UTC)
        sentence = f"{what} is good until {ends:%Y-%m-%d}."
        if rest < timedelta(0):
            yield bad("certificates", f"{what} ended on {ends:%Y-%m-%d}.", "Start Interlock again: it is renewed then.")
        elif rest < timedelta(days=14):
            yield doubtful("certificates", sentence, "Start Interlock again: it is renewed then.")
        else:
            yield good("certificates", sentence)


def _check_running(folder: DataFolder, plan: Plan | None, active: Configuration | None) -> Iterator[Finding]:
    owner = folder.owner()
    if owner is None or plan is None or active is None:
        yield doubtful("running", f"Nothing runs with {folder.root} now.", "Start it with: interlock up")
        return
    yield good("running", f"Process {owner.pid} runs with {folder.root} since {owner.started_at}.")
    yield from _check_api(folder, plan.listen[CONSOLE])
    for name, address in sorted(plan.listen.items()):
        if name != CONSOLE:
            yield _check_listener(name, address)
    yield asyncio.run(_check_state(folder.root))
    yield from asyncio.run(check_notifiers(folder, active.notify))
    yield asyncio.run(check_ledger(folder, places_of(folder, plan.configuration), active.witnesses))
    yield from asyncio.run(check_sinks(folder, active.sinks, active.receivers))


def _check_api(folder: DataFolder, address: Address) -> Iterator[Finding]:
    url = f"https://{Address(reachable_host(address.host), address.port)}/v1/health"
    try:
        trust = ssl.create_default_context(cafile=str(folder.keys / "authority.pem"))
        asked = datetime.now(UTC)
        response = httpx2.get(url, verify=trust, timeout=_CONNECT_S, trust_env=False)
    except (httpx2.HTTPError, OSError) as error:
        yield bad("console", f"The API does not answer at {address}: {error}.", f"See {folder.log / 'control.log'}.")
        return
    if response.is_error:
        yield bad("console", f"The API is not well: {response.text[:200]}", f"See {folder.log / 'control.log'}.")
    else:
        yield good("console", f"The API answers at {address}.")
    apart = abs((parsedate_to_datetime(response.headers["date"]) - asked).total_seconds())
    if apart > _CLOCK_S:
        yield bad("clock", f"This clock and the server's are {apart:.0f} s apart.", "Set both by NTP.")
    else:
        yield good("clock", "This clock and the server's agree.")


def _check_listener(name: str, address: Address) -> Finding:
    try:
        socket.create_connection((reachable_host(address.host), address.port), timeout=_CONNECT_S).close()
    except OSError as error:
        return bad(
            name, f"Nobody answers for {name} at {address}: {error}.", "See the gateway logs in the data folder."
        )
    return good(name, f"The gateway listens for {name} at {address}.")


async def _check_state(root: Path) -> Finding:
    try:
        async with running_state(root) as (_, state), state.reading() as reading:
            entries = await reading.ledger_head()
    except InterlockError as error:
        return bad("database", error.sentence, error.remedy)
    return good("database", f"The state can be read; its ledger has {entries:,} entries.")


def _check_ports(configuration: Configuration, adapters: Adapters) -> Iterator[Finding]:
    for name, address in wanted_addresses(configuration, adapters.protocols).items():
        try:
            reserve(name, address).release()
        except InterlockError as error:
            yield bad("ports", error.sentence, error.remedy)
        else:
            yield good("ports", f"{address} is free for {name}.")


async def _check_upstreams(configuration: Configuration, adapters: Adapters) -> list[Finding]:
    credentials = Credentials(configuration.resources, adapters.vaults)
    return list(
        await asyncio.gather(*(check_upstream(one, credentials) for _, one in sorted(configuration.resources.items())))
    )


def _check_compiled() -> Finding:
    slow = find_uncompiled()
    return doubtful("speed", SLOWER, REMEDY) if slow else good("speed", "The hot loops are compiled.")


def _check_psql() -> Finding:
    try:
        return good("psql", f"{find_psql()} speaks TLS.")
    except InterlockError as error:
        return doubtful("psql", error.sentence, error.remedy)
    except (OSError, TimeoutError) as error:
        return doubtful("psql", f"psql cannot be run: {error}.", f"Check PATH ({os.environ.get('PATH', '')}).")
