"""A line protocol for a key-value store: the smallest thing that a protocol folder can be and use the whole seam.

The folder works wherever it is dropped: into ``interlock.protocols``, or a folder that ``INTERLOCK_PROTOCOLS`` names.
"""

from collections.abc import Mapping
from typing import Any

from interlock.domain.actions import Need
from interlock.domain.decisions import Fence
from interlock.ports.protocol import Machine, Outlet

from .classify import classify  # noqa: TID252 -- the folder has no name of its own
from .session import ToyMachine  # noqa: TID252 -- as above


class ToyAdapter:
    name = "toy"
    default_port = 17777
    default_upstream_port = 7777
    honours: frozenset[type] = frozenset({Fence})

    def check_settings(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(f"a toy has no setting {name!r}; it has: tls" for name in sorted(settings.keys() - {"tls"}))

    def open_machine(self, outlet: Outlet) -> Machine:
        return ToyMachine(outlet)

    def describe(self, text: str) -> tuple[Need, ...]:
        return classify(text, in_transaction=False).needs


PROTOCOL = ToyAdapter()
