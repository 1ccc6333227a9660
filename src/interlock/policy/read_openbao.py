"""The section ``openbao``: the transit engine that signs checkpoints and wraps the keys of recordings."""

from collections.abc import Collection
from urllib.parse import urlsplit

from interlock.policy.configuration import OpenBao
from interlock.policy.draft import Draft, Section
from interlock.policy.scalars import read_name, read_secret, read_text

_LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})


def read_openbao(draft: Draft, schemes: Collection[str]) -> OpenBao | None:
    node = next((value for key, value in draft.tree.entries if key.text == "openbao"), None)
    if node is None:
        return None
    section = Section(draft, node, ("openbao",), "openbao", "openbao")
    where = section.need("address", "write address: https://bao.example:8200")
    kept = section.need("token", "write token: env:NAME or file:PATH")
    address = None if where is None else read_text(draft, where, section.at("address"), "address of openbao")
    token = None if kept is None else read_secret(draft, kept, section.at("token"), "token of openbao", schemes)
    if address is not None:
        parts = urlsplit(address)
        secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL)
        if not secure or not parts.hostname or parts.path.strip("/"):
            right = "write https://HOST:PORT; http is for this machine alone"
            draft.add(section.at("address"), "address of openbao is no address of a server", right)
    ca_node = section.get("ca")
    ca = "" if ca_node is None else read_text(draft, ca_node, section.at("ca"), "ca of openbao") or ""
    names = {}
    for key, default in (("mount", "transit"), ("ledger", ""), ("recordings", "")):
        value = section.get(key)
        read = default if value is None else read_name(draft, value, section.at(key), f"{key} of openbao")
        names[key] = read or default
    if not (names["ledger"] or names["recordings"]):
        draft.add(("openbao",), "openbao is used for nothing", "name a key with ledger, with recordings, or both")
    if address is None or token is None:
        return None
    return OpenBao(address, token, names["mount"], ca, names["ledger"], names["recordings"])
