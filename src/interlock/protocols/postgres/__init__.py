"""PostgreSQL, protocol 3: a machine without sockets behind the seam of :mod:`interlock.ports.protocol`."""

from collections.abc import Mapping
from typing import Any

from interlock.domain.actions import Need
from interlock.domain.decisions import Fence, Mask
from interlock.ports.protocol import Machine, Outlet
from interlock.protocols.postgres.accounts import PostgresAccounts
from interlock.protocols.postgres.classify import ClassifyContext, classify
from interlock.protocols.postgres.reading import Reader
from interlock.protocols.postgres.session import PostgresMachine
from interlock.protocols.postgres.settings import check_settings


class PostgresAdapter:
    """What the gateway knows of PostgreSQL."""

    name = "postgres"
    default_port = 15432
    default_upstream_port = 5432
    upstream_socket = ".s.PGSQL.{port}"
    """The socket's name in the folder that a resource's address may name instead of a host."""

    honours: frozenset[type] = frozenset({Fence, Mask})

    accounts = PostgresAccounts()
    """How a role is kept for each person and grant (``account: per-person``)."""

    def __init__(self) -> None:
        self._reader = Reader()

    def check_settings(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return check_settings(settings)

    def open_machine(self, outlet: Outlet) -> Machine:
        return PostgresMachine(outlet, self._reader)

    def describe(self, text: str) -> tuple[Need, ...]:
        return classify(text, ClassifyContext()).needs


PROTOCOL = PostgresAdapter()
