"""What a program of ours runs on: the adapters that are installed, the configuration, the way to the state."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from interlock.app.data_folder import DataFolder, default_data_folder, open_data_folder
from interlock.app.discovery import find_forges, find_notifiers, find_protocols, find_sinks, find_vaults
from interlock.domain.snapshot import PolicyText
from interlock.errors import Failure
from interlock.identity.keys import write_private
from interlock.policy.configuration import Configuration
from interlock.policy.load import load_configuration, load_configuration_file
from interlock.policy.read_resources import SettingsCheck
from interlock.ports.forge import ForgeAdapter
from interlock.ports.notify import NotifierAdapter
from interlock.ports.protocol import ProtocolAdapter
from interlock.ports.sink import SinkAdapter
from interlock.ports.vault import Vault
from interlock.store.home import StateAddress
from interlock.store.state import PostgresState


@dataclass(frozen=True, slots=True)
class Adapters:
    """The protocols and sinks by name and the vaults by scheme, as they were found once."""

    protocols: Mapping[str, ProtocolAdapter] = field(default_factory=find_protocols)
    vaults: Mapping[str, Vault] = field(default_factory=find_vaults)
    sinks: Mapping[str, SinkAdapter] = field(default_factory=find_sinks)
    forges: Mapping[str, ForgeAdapter] = field(default_factory=find_forges)
    notifiers: Mapping[str, NotifierAdapter] = field(default_factory=find_notifiers)

    def load(self, path: Path) -> Configuration:
        """The configuration in a file. Raises ConfigurationError with every mistake in it."""
        return load_configuration_file(path, check_settings=self._checks(), schemes=tuple(self.vaults))

    def read(self, text: str, source: str, cedar: Mapping[str, str]) -> Configuration:
        return load_configuration(text, source, cedar=cedar, check_settings=self._checks(), schemes=tuple(self.vaults))

    def read_policy(self, policy: PolicyText) -> Configuration:
        """A policy of the state, or one that is proposed. Raises ConfigurationError."""
        return self.read(policy.yaml, "interlock.yaml", policy.cedar)

    def _checks(self) -> dict[str, SettingsCheck]:
        return {name: adapter.check_settings for name, adapter in self.protocols.items()}


def external_state(configuration: Configuration) -> StateAddress | None:
    """Where the operator keeps the state; None: embedded. Raises Failure for a variable that is not set."""
    kept = configuration.state
    if kept == "embedded":
        return None
    if kept.startswith("env:"):
        name = kept.removeprefix("env:")
        url = os.environ.get(name, "")
        if not url:
            raise Failure(
                f"The state is kept at the address in {name}, and {name} is not set.",
                f"Set it, such as: export {name}=postgresql://user:password@host/database",
            )
        return StateAddress(url, url)
    return StateAddress(kept, kept)


def keep_state_address(folder: DataFolder, address: StateAddress) -> None:
    """Let other programs of this account, on this machine, reach the state of the instance that runs."""
    content = json.dumps({"owner_url": address.owner_url, "url": address.url})
    write_private(folder.keys / "state.json", content.encode())


def kept_state_address(folder: DataFolder) -> StateAddress:
    """Raises Failure when nothing has run in the folder yet."""
    try:
        found = json.loads((folder.keys / "state.json").read_text())
        return StateAddress(str(found["owner_url"]), str(found["url"]))
    except (OSError, ValueError, KeyError) as error:
        raise Failure(
            f"Nothing has run with the data folder {folder.root} yet.", "Start it first: interlock up"
        ) from error


@asynccontextmanager
async def running_state(data: Path | None) -> AsyncIterator[tuple[DataFolder, PostgresState]]:
    """The state of the instance that runs on this machine. Raises Failure when none does."""
    folder = open_data_folder(data or default_data_folder(), create=False)
    address = kept_state_address(folder)
    if folder.owner() is None:
        raise Failure(
            f"No Interlock runs with the data folder {folder.root}.",
            "Start it with `interlock up`, or name another folder with --data DIR.",
        )
    state = PostgresState(address.url, connections=2)
    try:
        yield folder, state
    finally:
        await state.close()


def read_active_policy(data: Path | None) -> Configuration:
    """The configuration that is active in the instance that runs on this machine."""
    policy = asyncio.run(active_policy(data))
    return Adapters().read(policy.yaml, f"active policy (version {policy.version})", policy.cedar)


async def active_policy(data: Path | None) -> PolicyText:
    """Its text. Raises Failure when nothing runs, or none is active."""
    async with running_state(data) as (_, state), state.reading() as reading:
        policy = await reading.policy()
    if policy is None:
        raise Failure("No policy is active yet.", "Start Interlock with one: interlock up --config FILE")
    return policy
