"""The section ``receivers``: who is told by security events that somebody's access ended."""

from collections.abc import Collection

from interlock.policy.configuration import Receiver
from interlock.policy.draft import Draft, Section, named_entries
from interlock.policy.read_running import is_issuer
from interlock.policy.scalars import read_name, read_secret, read_text


def read_receivers(draft: Draft, schemes: Collection[str]) -> dict[str, Receiver]:
    receivers = {}
    for key, node in named_entries(draft, "receivers", "receiver"):
        path = ("receivers", key.text)
        read_name(draft, key, path, "the receiver's name")
        section = Section(draft, node, path, "receivers.NAME", f"the receiver {key.text}")
        to = _text(section, "to", "write the https address to which events are pushed")
        audience = _text(section, "audience", "write the name by which it knows that an event is for it")
        ca = _text(section, "ca", "")
        secret = section.get("secret")
        kept = None
        if secret is not None:
            kept = read_secret(draft, secret, section.at("secret"), f"secret of {section.where}", schemes)
        if to is not None and not is_issuer(to):
            draft.add(section.at("to"), f"to of {section.where} is no https address", "write https://HOST/…")
        if to is not None and audience is not None:
            receivers[key.text] = Receiver(key.text, to, audience, kept, ca or "")
    return receivers


def _text(section: Section, key: str, right: str) -> str | None:
    node = section.need(key, right) if right else section.get(key)
    return None if node is None else read_text(section.draft, node, section.at(key), f"{key} of {section.where}")
