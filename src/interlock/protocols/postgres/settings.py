"""What may be set: in a resource's configuration, and by a client as its session starts."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from interlock.domain.resources import Resource
from interlock.errors import PeerError

_KEYS = ("database", "tls", "account", "schemas", "owner", "secret_columns", "samples")
SAMPLES = ("readers", "approvers", "nobody")
"""Who of those who decide sees a sample of the rows: who may read them anyway (the default), all, or nobody."""

_MOST_NAME_PARTS = 3
TLS_MODES = ("disable", "require", "verify-ca", "verify-full")

READABLE_ENCODINGS = frozenset({"UTF8", "SQL_ASCII"})
"""The client encodings in which a statement's bytes mean exactly one text: UTF-8, and ASCII alone."""

_STARTUP_ALLOWED = frozenset(
    {
        "application_name",
        "client_encoding",
        "datestyle",
        "timezone",
        "intervalstyle",
        "extra_float_digits",
        "bytea_output",
        "xmloption",
        "search_path",
        "statement_timeout",
        "lock_timeout",
        "transaction_timeout",
        "idle_in_transaction_session_timeout",
        "idle_session_timeout",
        "default_transaction_isolation",
        "default_transaction_read_only",
        "default_transaction_deferrable",
        "client_min_messages",
        "geqo",
        "jit",
        "standard_conforming_strings",
    }
)
"""What a client may set as it starts: how values look, how long things may take, nothing that widens what it can do."""

_LONGEST_NAME_BYTES = 63
"""Of an ``application_name`` (NAMEDATALEN): a server cuts what is longer."""

_SPELLINGS = {"datestyle": "DateStyle", "timezone": "TimeZone", "intervalstyle": "IntervalStyle"}


@dataclass(frozen=True, slots=True)
class UpstreamTls:
    """How the connection to the server is secured. ``trust`` is a PEM file, or None for the system's authorities."""

    mode: str
    trust: str | None = None


def check_settings(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The mistakes in a resource's settings, one sentence each."""
    mistakes = [
        f"a postgres resource has no key '{key}'; it may have {', '.join(_KEYS[:-1])} and {_KEYS[-1]}"
        for key in settings
        if key not in _KEYS
    ]
    database = settings.get("database")
    if database is not None and (not isinstance(database, str) or not database):
        mistakes.append(f"database must be the name of a database, not {database!r}")
    mistakes += _check_tls(settings.get("tls"))
    mistakes += _check_account(settings)
    mistakes += _check_samples(settings)
    return tuple(mistakes)


def _check_account(settings: Mapping[str, Any]) -> list[str]:
    account, schemas, owner = (settings.get(key) for key in ("account", "schemas", "owner"))
    if account not in (None, "shared", "per-person"):
        return [f"account must be shared or per-person, not {account!r}"]
    if account != "per-person":
        named = [key for key in ("schemas", "owner") if settings.get(key) is not None]
        return [f"{key} means nothing without account: per-person" for key in named]
    mistakes = []
    names = [schemas] if isinstance(schemas, str) else schemas
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        mistakes.append("schemas must name the schemas in which account: per-person gives rights, such as [public]")
    if owner is not None and (not isinstance(owner, str) or not owner):
        mistakes.append(f"owner must be the role that owns the schemas, not {owner!r}")
    return mistakes


def _check_samples(settings: Mapping[str, Any]) -> list[str]:
    mistakes = []
    if settings.get("samples") not in (None, *SAMPLES):
        mistakes.append(f"samples must be one of {', '.join(SAMPLES)}, not {settings['samples']!r}")
    named = settings.get("secret_columns")
    if named is not None and not (isinstance(named, list) and named and all(map(_names_column, named))):
        mistakes.append("secret_columns must list columns, such as [users.password, public.people.ssn, '*.iban']")
    return mistakes


def _names_column(name: object) -> bool:
    return isinstance(name, str) and 1 <= len(parts := name.split(".")) <= _MOST_NAME_PARTS and all(parts)


def _check_tls(tls: object) -> list[str]:
    if tls is None:
        return []
    if not isinstance(tls, Mapping):
        return [f"tls must be written like {{mode: verify-full, ca: /path/ca.pem}}, not {tls!r}"]
    mistakes = [f"tls has no key '{key}'; it may have mode and ca" for key in tls if key not in ("mode", "ca")]
    mode = tls.get("mode", "verify-full")
    if mode not in TLS_MODES:
        mistakes.append(f"tls mode must be one of {', '.join(TLS_MODES)}, not {mode!r}")
    ca = tls.get("ca")
    if ca is not None and (not isinstance(ca, str) or not ca):
        mistakes.append(f"tls ca must be the path of a PEM file, not {ca!r}")
    if ca is not None and mode in ("disable", "require"):
        mistakes.append(f"tls ca means nothing with mode {mode}, which verifies nobody; write verify-full")
    return mistakes


def is_local(host: str) -> bool:
    """Whether a connection to ``host`` stays on this machine: a Unix socket's folder, or a loopback address."""
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def choose_tls(resource: Resource) -> UpstreamTls:
    """The TLS of a resource. Left unsaid it is verify-full, and none for a connection that stays on this machine."""
    tls = resource.settings.get("tls") or {}
    default = "disable" if is_local(resource.host) and "ca" not in tls else "verify-full"
    mode = str(tls.get("mode", default))
    if resource.host.startswith("/"):
        mode = "disable"
    return UpstreamTls(mode, tls.get("ca"))


def split_database(name: str) -> tuple[str, str | None]:
    """``orders`` or ``orders/otherdb``: the resource, and another database of its server."""
    resource, slash, database = name.partition("/")
    return resource, database if slash and database else None


def name_in_log(person: str) -> str:
    """How every ``application_name`` on an account that is shared begins, so that the server's log has the person."""
    return person.encode()[:_LONGEST_NAME_BYTES].decode(errors="ignore")


def named_application(person: str, application: str) -> str:
    """``application`` with the person before it, as long as a server keeps it."""
    return f"{person} {application}".strip().encode()[:_LONGEST_NAME_BYTES].decode(errors="ignore")


def says_who(person: str, application: str) -> bool:
    """Whether a log in which ``application`` stands says that it was ``person``, or names nobody.

    Drivers set a name of their own as they start (JDBC's, and every tool on it): where people are called by addresses
    a name without ``@`` is nobody's.
    """
    name = name_in_log(person)
    return application == name or application.startswith(f"{name} ") or ("@" in name and "@" not in application)


def read_client_parameters(parameters: Mapping[str, str]) -> dict[str, str]:
    """The settings that a client asks for as it starts, as they may be passed on.

    Raises PeerError, with a sentence for the person, for one that is not on the list. ``options`` is taken apart
    (``-c name=value``, ``--name=value``) and held to the same list.
    """
    asked: dict[str, str] = {}
    for name, setting in parameters.items():
        if name in ("user", "database") or name.startswith("_pq_."):
            continue
        if name == "options":
            asked.update(_read_options(setting))
        elif name == "replication":
            if setting.lower() not in ("", "false", "off", "no", "0"):
                raise PeerError(
                    "Replication connections do not go through Interlock: their commands are no statements."
                )
        else:
            asked[name.lower()] = setting
    return {_SPELLINGS.get(name, name): _check_parameter(name, setting) for name, setting in asked.items()}


def _check_parameter(name: str, setting: str) -> str:
    if name not in _STARTUP_ALLOWED:
        raise PeerError(
            f"The setting {name} cannot be given as the session starts."
            f" Leave it away, or write SET {name} as a statement, where it is decided on."
        )
    if name == "client_encoding":
        return _check_encoding(setting)
    if name == "search_path" and re.search(r"pg_catalog|pg_temp", setting, re.IGNORECASE):
        raise PeerError("A search_path may not move pg_catalog or pg_temp. Name only the schemas of your own tables.")
    if name == "standard_conforming_strings" and setting.lower() not in ("on", "true", "yes", "1"):
        raise PeerError("standard_conforming_strings must be on: statements are read that way here.")
    return setting


def _check_encoding(setting: str) -> str:
    plain = re.sub(r"[^a-z0-9]", "", setting.lower())
    if plain in ("utf8", "unicode", ""):
        return "UTF8"
    if plain == "sqlascii":
        return "SQL_ASCII"
    raise PeerError(
        f"The client encoding {setting} is not one in which statements can be read exactly."
        " Set PGCLIENTENCODING=UTF8 and connect again."
    )


def _read_options(options: str) -> dict[str, str]:
    """Take ``options`` apart the way a server does: words at white space, a backslash keeps the next character."""
    words = [re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL) for word in re.findall(r"(?:\\.|[^\s\\])+", options)]
    found: dict[str, str] = {}
    at = 0
    while at < len(words):
        word = words[at]
        if word == "-c" and at + 1 < len(words):
            at += 1
            assignment = words[at]
        elif (word.startswith("-c") and len(word) > 2) or (word.startswith("--") and len(word) > 2):
            assignment = word[2:]
        else:
            raise PeerError(f"The connection option {word!r} is not passed on. Leave it away; -c name=value is read.")
        name, equals, setting = assignment.partition("=")
        if not equals:
            raise PeerError(f"The connection option {assignment!r} has no value. Write it as -c name=value.")
        found[name.replace("-", "_").lower()] = setting
        at += 1
    return found
