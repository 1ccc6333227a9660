"""The section ``gateways``: which hosts may follow the feed, by their keys."""

import re

from interlock.policy.draft import Draft, Section, named_entries
from interlock.policy.scalars import read_name, read_text

_KEY = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


def read_gateways(draft: Draft) -> dict[str, str]:
    """Each name with the thumbprint (RFC 7638, SHA-256) of its key."""
    found: dict[str, str] = {}
    for key, node in named_entries(draft, "gateways", "gateway"):
        path = ("gateways", key.text)
        read_name(draft, key, path, "the gateway's name")
        section = Section(draft, node, path, "gateways.NAME", f"the gateway {key.text}")
        given = section.need("key", "write the thumbprint of its key, as the refusal of a gateway names it")
        text = None if given is None else read_text(draft, given, section.at("key"), f"key of {section.where}")
        if text is None:
            continue
        if _KEY.fullmatch(text) is None:
            draft.add(section.at("key"), f"key of {section.where} is no thumbprint", "43 letters, RFC 7638 and SHA-256")
        elif text in found.values():
            draft.add(section.at("key"), f"key of {section.where} is another gateway's", "each has a key of its own")
        else:
            found[key.text] = text
    return found
