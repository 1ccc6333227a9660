"""What `up` is about to run: one configuration, one data folder, the ports, the way to the state.

The configuration is read once, when everything starts, and kept in the data folder for the programs that are started
(again) from it: a file that somebody edits meanwhile takes effect when the operator starts Interlock with it, not when
a process happens to die.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from interlock.app.data_folder import DataFolder
from interlock.app.installation import Adapters
from interlock.app.listen import read_address
from interlock.errors import Failure
from interlock.identity.keys import write_private
from interlock.policy.configuration import Address, Configuration

GATEWAY_NAME = "local"
"""The gateway whose workers run beside the control plane."""

STATE_URL = "INTERLOCK_STATE_URL"
STATE_OWNER_URL = "INTERLOCK_STATE_OWNER_URL"
"""How the control plane's process is told where the state is; taken out of its environment at once."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``listen`` has the console and every protocol, with the ports that were reserved. ``source`` names the file."""

    folder: DataFolder
    configuration: Configuration
    source: str
    listen: Mapping[str, Address]

    def keep(self) -> Path:
        """Write the plan into the data folder, for the programs that run from it."""
        content = {
            "source": self.source,
            "text": self.configuration.text,
            "cedar": dict(self.configuration.cedar),
            "listen": {name: str(address) for name, address in self.listen.items()},
        }
        path = self.folder.run / "plan.json"
        write_private(path, json.dumps(content).encode())
        return path


def kept_plan(folder: DataFolder, adapters: Adapters) -> Plan:
    """The plan that the supervisor wrote. Raises Failure."""
    path = folder.run / "plan.json"
    try:
        found = json.loads(path.read_text())
        listen = {str(name): read_address(str(address)) for name, address in found["listen"].items()}
        source, text, cedar = str(found["source"]), str(found["text"]), dict(found["cedar"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Failure(f"{path} cannot be read.", "Start everything anew: interlock up") from error
    return Plan(folder, adapters.read(text, source, cedar), source, listen)
