"""The sections ``listen``, ``timing`` and ``state``: how Interlock itself runs."""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from interlock.policy.configuration import CONSOLE, Address, Provider, Scim, Timing
from interlock.policy.draft import Draft, Path, Section, dangling, named_entries, shown
from interlock.policy.mistakes import did_you_mean
from interlock.policy.nodes import Node, Scalar, Table
from interlock.policy.scalars import (
    is_name,
    read_address,
    read_count,
    read_duration,
    read_list,
    read_name,
    read_secret,
    read_text,
)

_LONGEST = {
    "lease": timedelta(minutes=5),
    "hold": timedelta(days=1),
    "login": timedelta(hours=8),
    "presence": timedelta(hours=1),
    "request": timedelta(days=30),
    "measure": timedelta(minutes=10),
    "lock_wait": timedelta(minutes=1),
}
"""The most that each timing can be; a login of more than a working day would outlive its reason."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """Where each listener listens, and which let clients on their own machine in without TLS."""

    addresses: dict[str, Address]
    clear_text: frozenset[str]


def read_listen(draft: Draft, kinds: Collection[str]) -> Listeners:
    """``kinds`` are the protocols there are; empty when they are not known."""
    listen = {CONSOLE: Address("127.0.0.1", 8443)}
    clear_text: set[str] = set()
    taken: dict[Address, str] = {}
    for key, node in named_entries(draft, "listen", "listener"):
        path = ("listen", key.text)
        if kinds and key.text not in {CONSOLE, *kinds}:
            draft.add(path, f"nothing called {shown(key.text)} listens", did_you_mean(key.text, {CONSOLE, *kinds}))
            continue
        address, clear = _read_listener(draft, node, path)
        if address is None:
            continue
        if address.port and address in taken:
            draft.add(path, f"{key.text} and {taken[address]} listen at the same {address}", "give each its own port")
        taken[address] = key.text
        listen[key.text] = address
        if clear:
            clear_text.add(key.text)
    return Listeners(listen, frozenset(clear_text))


def _read_listener(draft: Draft, node: Node, path: Path) -> tuple[Address | None, bool]:
    """An address, or a mapping with one and with what else a listener can be told."""
    name = path[-1]
    what = f"the address of {name}"
    if not isinstance(node, Table):
        return read_address(draft, node, path, what, any_port=True), False
    section = Section(draft, node, path, "listen.NAME", f"the listener {name}")
    where = section.need("address", "write address: 127.0.0.1:PORT")
    address = None if where is None else read_address(draft, where, section.at("address"), what, any_port=True)
    asked = section.get("clear_text")
    if asked is None:
        return address, False
    at = section.at("clear_text")
    if not isinstance(asked, Scalar) or asked.text != "loopback":
        draft.add(at, f"clear_text of {name} is not loopback", "write loopback, or leave the key out")
    elif name == CONSOLE:
        draft.add(at, "the console is only ever spoken to inside TLS", "leave clear_text out")
    elif address is not None and not _hears_loopback(address.host):
        right = "listen at 127.0.0.1, or leave clear_text out"
        draft.add(at, f"nobody on loopback reaches {name} at {address}, so clear_text means nothing", right)
    return address, True


def _hears_loopback(host: str) -> bool:
    """Whether a client on loopback can come to a listener on ``host``."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return ip.is_loopback or ip.is_unspecified


def read_timing(draft: Draft) -> Timing:
    node = next((value for key, value in draft.tree.entries if key.text == "timing"), None)
    if node is None:
        return Timing()
    section = Section(draft, node, ("timing",), "timing", "timing")
    found: dict[str, timedelta] = {}
    for key, most in _LONGEST.items():
        value = section.get(key)
        duration = None if value is None else read_duration(draft, value, section.at(key), f"timing {key}", most=most)
        if duration is not None:
            found[key] = duration
    timing = Timing(**found)
    if timing.presence > timing.login:
        draft.add(section.at("presence"), "presence lasts longer than a login", "make it shorter than login")
    return timing


def read_state(draft: Draft) -> str:
    node = next((value for key, value in draft.tree.entries if key.text == "state"), None)
    if node is None or (isinstance(node, Scalar) and node.empty):
        return "embedded"
    text = read_text(draft, node, ("state",), "state")
    if text is None or text == "embedded":
        return "embedded"
    scheme, _, rest = text.partition(":")
    if scheme == "env" and rest.isidentifier() and rest.isascii():
        return text
    if scheme == "postgresql" and _is_database_url(text):
        if urlsplit(text).password is not None:
            # The policy's text travels to every gateway, and none of them may hold a way into the state.
            draft.add(
                ("state",), "a password stands in state, and this file is sent to every gateway", "write env:NAME"
            )
            return "embedded"
        return text
    # What stands there is not quoted back: a URL may hold a password.
    draft.add(
        ("state",),
        "state is no database that can be reached",
        "write embedded, postgresql://user@host/database or env:NAME",
    )
    return "embedded"


def read_providers(draft: Draft, schemes: Collection[str]) -> dict[str, Provider]:
    providers = {}
    for key, node in named_entries(draft, "providers", "provider"):
        path = ("providers", key.text)
        read_name(draft, key, path, "the provider's name")
        section = Section(draft, node, path, "providers.NAME", f"the provider {key.text}")
        provider = _read_provider(section, schemes)
        if provider is not None:
            providers[key.text] = provider
    return providers


def _read_provider(section: Section, schemes: Collection[str]) -> Provider | None:
    draft = section.draft
    texts: dict[str, str] = {}
    for key in ("issuer", "client_id", "ca", "claim"):
        right = f"write the {key} that the provider gave"
        node = section.need(key, right) if key in ("issuer", "client_id") else section.get(key)
        text = None if node is None else read_text(draft, node, section.at(key), f"{key} of {section.where}")
        if text is not None:
            texts[key] = text
    if "issuer" in texts and not is_issuer(texts["issuer"]):
        draft.add(section.at("issuer"), f"the issuer of {section.where} is no https address", "write https://HOST/…")
    if texts.get("claim", "email") not in ("email", "preferred_username", "upn"):
        draft.add(section.at("claim"), f"{shown(texts['claim'])} names no person", "email, preferred_username or upn")
    secret_node = section.get("secret")
    secret = None
    if secret_node is not None:
        secret = read_secret(draft, secret_node, section.at("secret"), f"secret of {section.where}", schemes)
    listed = section.get("domains")
    domains = () if listed is None else read_list(draft, listed, section.at("domains"), "domains") or ()
    if not {"issuer", "client_id"} <= texts.keys():
        return None
    return Provider(
        texts["issuer"],
        texts["client_id"],
        secret,
        texts.get("ca", ""),
        texts.get("claim", "email"),
        frozenset(domain.lower() for _, domain in domains),
    )


def read_passwords(draft: Draft, providers: Collection[str]) -> bool:
    """Whether people sign in with passwords of Interlock's own. Where there is a provider that has to be said."""
    node = next((value for key, value in draft.tree.entries if key.text == "passwords"), None)
    if node is None:
        return not providers
    text = read_text(draft, node, ("passwords",), "passwords")
    if text not in {"allow", "refuse"}:
        draft.add(("passwords",), "passwords is neither allow nor refuse", "write allow or refuse")
    return text == "allow"


def read_recovery(draft: Draft, groups: Collection[str]) -> str:
    """The group whose members let somebody in again, two of them at a time; empty when there is none."""
    node = next((value for key, value in draft.tree.entries if key.text == "recovery"), None)
    if node is None:
        return ""
    section = Section(draft, node, ("recovery",), "recovery", "recovery")
    named = section.need("group", "write group: NAME, of which two members are needed")
    group = None if named is None else read_text(draft, named, section.at("group"), "group of recovery")
    if group is None or dangling(draft, section.at("group"), "group", group, groups):
        return ""
    return group


def is_issuer(text: str) -> bool:
    """Whether it can be an issuer's name (OpenID Connect Discovery section 3): https, no query, no fragment."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return (
        parts.scheme == "https" and bool(parts.hostname) and not (parts.query or parts.fragment or "@" in parts.netloc)
    )


def read_scim(draft: Draft, schemes: Collection[str]) -> Scim | None:
    node = next((value for key, value in draft.tree.entries if key.text == "scim"), None)
    if node is None:
        return None
    section = Section(draft, node, ("scim",), "scim", "scim")
    where = section.need("secret", "write secret: env:NAME")
    secret = None if where is None else read_secret(draft, where, section.at("secret"), "secret of scim", schemes)
    listed = section.get("groups")
    groups = () if listed is None else read_list(draft, listed, section.at("groups"), "groups of scim") or ()
    for path, name in groups:
        if not is_name(name):
            draft.add(path, f"{shown(name)} is no name of a group", "write letters, digits, . _ and -, 63 at most")
    most = section.get("most_ends")
    count = 20 if most is None else read_count(draft, most, section.at("most_ends"), "most_ends of scim")
    if secret is None or count is None:
        return None
    return Scim(secret, frozenset(name for _, name in groups), count)


def _is_database_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return bool(parts.path.strip("/")) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
