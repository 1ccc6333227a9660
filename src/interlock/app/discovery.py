"""Finds the adapters: protocol folders and vault files, each of which exports one object of the right shape.

Discovery happens once, in the open, when a program starts. Something malformed stops the start with a sentence:
an adapter that is left out silently would be a listener that nobody guards, or a secret that nobody finds.

``INTERLOCK_PROTOCOLS`` and ``INTERLOCK_VAULTS`` name further folders (separated like PATH) in which protocol folders
and vault files lie. They are imported as if they lay in ``interlock.protocols`` and ``interlock.vaults``.
"""

import importlib
import os
import pkgutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import interlock.forges
import interlock.notify
import interlock.protocols
import interlock.sinks
import interlock.vaults
from interlock.errors import Failure
from interlock.policy.configuration import CONSOLE
from interlock.ports.forge import ForgeAdapter
from interlock.ports.notify import NotifierAdapter
from interlock.ports.protocol import ProtocolAdapter
from interlock.ports.sink import SinkAdapter
from interlock.ports.vault import Vault

_PROTOCOL_METHODS = ("check_settings", "open_machine", "describe")
_VAULT_METHODS = ("fetch",)


def find_protocols(extra: Sequence[Path] | None = None) -> Mapping[str, ProtocolAdapter]:
    """Every protocol by its name. ``extra`` folders default to those of ``INTERLOCK_PROTOCOLS``."""
    folders = _folders("INTERLOCK_PROTOCOLS") if extra is None else extra
    found: dict[str, ProtocolAdapter] = {}
    origins: dict[str, str] = {}
    ports: dict[int, str] = {}
    for module in _modules(interlock.protocols, folders, "protocol", packages=True):
        adapter = _export(module, "PROTOCOL")
        origin = _origin(module)
        name = _name(adapter, "name", origin)
        _check_protocol(adapter, origin)
        if name == CONSOLE:
            raise Failure(f"{origin}: a protocol cannot be called {CONSOLE}.", "Rename it.")
        _refuse_second("protocol", name, origins, origin)
        if adapter.default_port in ports:
            raise Failure(
                f"The protocols {ports[adapter.default_port]} and {name} both have {adapter.default_port} as their "
                "default port.",
                f"Give one of them another default_port: {origin}.",
            )
        ports[adapter.default_port] = name
        found[name] = adapter
    return MappingProxyType(found)


def find_vaults(extra: Sequence[Path] | None = None) -> Mapping[str, Vault]:
    """Every vault by its scheme. ``extra`` folders default to those of ``INTERLOCK_VAULTS``."""
    folders = _folders("INTERLOCK_VAULTS") if extra is None else extra
    found: dict[str, Vault] = {}
    origins: dict[str, str] = {}
    for module in _modules(interlock.vaults, folders, "vault", packages=False):
        vault = _export(module, "VAULT")
        origin = _origin(module)
        scheme = _name(vault, "scheme", origin)
        _check_methods(vault, _VAULT_METHODS, origin, "VAULT")
        _refuse_second("vault", scheme, origins, origin)
        found[scheme] = vault
    return MappingProxyType(found)


def find_sinks() -> Mapping[str, SinkAdapter]:
    """Every kind of sink by its name."""
    found: dict[str, SinkAdapter] = {}
    origins: dict[str, str] = {}
    for module in _modules(interlock.sinks, (), "sink", packages=False):
        sink = _export(module, "SINK")
        origin = _origin(module)
        name = _name(sink, "name", origin)
        if not isinstance(getattr(sink, "here", None), bool):
            raise Failure(f"The SINK in {origin} does not say whose it is.", "See interlock/ports/sink.py.")
        _check_methods(sink, ("open",), origin, "SINK")
        _refuse_second("sink", name, origins, origin)
        found[name] = sink
    return MappingProxyType(found)


def find_notifiers() -> Mapping[str, NotifierAdapter]:
    """Every kind of notifier by its name."""
    found: dict[str, NotifierAdapter] = {}
    origins: dict[str, str] = {}
    for module in _modules(interlock.notify, (), "notifier", packages=False):
        notifier = _export(module, "NOTIFIER")
        origin = _origin(module)
        name = _name(notifier, "name", origin)
        if not isinstance(getattr(notifier, "reaches", None), str):
            raise Failure(f"The NOTIFIER in {origin} does not say whom it reaches.", "See interlock/ports/notify.py.")
        _check_methods(notifier, ("open",), origin, "NOTIFIER")
        _refuse_second("notifier", name, origins, origin)
        found[name] = notifier
    return MappingProxyType(found)


def find_forges() -> Mapping[str, ForgeAdapter]:
    """Every kind of forge by its name."""
    found: dict[str, ForgeAdapter] = {}
    origins: dict[str, str] = {}
    for module in _modules(interlock.forges, (), "forge", packages=False):
        forge = _export(module, "FORGE")
        origin = _origin(module)
        name = _name(forge, "name", origin)
        _check_methods(forge, ("open",), origin, "FORGE")
        _refuse_second("forge", name, origins, origin)
        found[name] = forge
    return MappingProxyType(found)


def _folders(variable: str) -> list[Path]:
    return [Path(part) for part in os.environ.get(variable, "").split(os.pathsep) if part]


def _modules(package: ModuleType, extra: Sequence[Path], what: str, *, packages: bool) -> list[ModuleType]:
    places = [Path(place) for place in package.__path__]
    for folder in extra:
        place = folder.expanduser().absolute()
        if not place.is_dir():
            raise Failure(
                f"The {what} folder {place} does not exist.",
                f"Mend or unset INTERLOCK_{what.upper()}S and start again.",
            )
        if place not in places:
            places.append(place)
            package.__path__.append(str(place))
    seen: dict[str, Path] = {}
    modules = []
    importlib.invalidate_caches()
    for place in places:
        for info in pkgutil.iter_modules([str(place)]):
            if info.name.startswith("_") or info.ispkg is not packages:
                continue
            if info.name in seen:
                raise Failure(
                    f"Two {what}s are called {info.name}: one in {seen[info.name]}, one in {place}.",
                    "Rename one of the two.",
                )
            seen[info.name] = place
            modules.append(_import(f"{package.__name__}.{info.name}", place / info.name, what))
    return modules


def _import(name: str, path: Path, what: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise Failure(
            f"The {what} in {path} cannot be loaded: {type(error).__name__}: {error}.",
            "Mend it or take it away, then start again.",
        ) from error


def _origin(module: ModuleType) -> str:
    return str(module.__file__ or module.__name__)


def _export(module: ModuleType, name: str) -> Any:
    exported = getattr(module, name, None)
    if exported is None or isinstance(exported, type):
        what = "exports a class" if isinstance(exported, type) else "exports nothing"
        raise Failure(
            f"{_origin(module)} {what} as {name}; it must export one object.",
            f"Add a line such as: {name} = …",
        )
    return exported


def _name(adapter: object, attribute: str, origin: str) -> str:
    name = getattr(adapter, attribute, None)
    if not isinstance(name, str) or not name or not name.replace("-", "").replace("_", "").isalnum():
        raise Failure(
            f"{origin}: {attribute} must be a word of letters, digits and dashes, not {name!r}.", "Mend the adapter."
        )
    return name


def _check_protocol(adapter: object, origin: str) -> None:
    _check_methods(adapter, _PROTOCOL_METHODS, origin, "PROTOCOL")
    for attribute in ("default_port", "default_upstream_port"):
        port = getattr(adapter, attribute, None)
        if not isinstance(port, int) or not 0 < port < 65536:
            raise Failure(f"{origin}: {attribute} must be a port from 1 to 65535, not {port!r}.", "Mend the adapter.")
    honours = getattr(adapter, "honours", None)
    if not isinstance(honours, frozenset) or not all(isinstance(kind, type) for kind in honours):
        raise Failure(
            f"{origin}: honours must be a frozenset of obligation types, not {honours!r}.",
            "Mend the adapter.",
        )


def _check_methods(adapter: object, methods: Sequence[str], origin: str, export: str) -> None:
    missing = [name for name in methods if not callable(getattr(adapter, name, None))]
    if missing:
        raise Failure(f"{origin}: {export} has no {' and no '.join(missing)}.", "Mend the adapter.")


def _refuse_second(what: str, name: str, origins: dict[str, str], origin: str) -> None:
    if name in origins:
        raise Failure(
            f"Two {what}s are called {name}: one in {origins[name]}, one in {origin}.", "Rename one of the two."
        )
    origins[name] = origin
