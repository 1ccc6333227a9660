"""The section ``sinks``: where events go besides the ledger."""

from collections.abc import Collection

from interlock.domain.sensitivity import Sensitivity
from interlock.policy.configuration import SinkSource
from interlock.policy.draft import Draft, Section, named_entries
from interlock.policy.scalars import read_flag, read_name, read_secret, read_text


def read_sinks(draft: Draft, schemes: Collection[str]) -> dict[str, SinkSource]:
    sinks = {}
    for key, node in named_entries(draft, "sinks", "sink"):
        path = ("sinks", key.text)
        read_name(draft, key, path, "the sink's name")
        section = Section(draft, node, path, "sinks.NAME", f"the sink {key.text}")
        kind = _text(section, "kind", "write kind: jsonl, syslog, http or otlp")
        to = _text(section, "to", "write where the events go")
        secret = section.get("secret")
        kept = None
        if secret is not None:
            kept = read_secret(draft, secret, section.at("secret"), f"secret of {section.where}", schemes)
        show = read_show(section)
        enforced = section.get("enforced")
        must = enforced is not None and read_flag(
            draft, enforced, section.at("enforced"), f"enforced of {section.where}"
        )
        if kind is not None and to is not None:
            sinks[key.text] = SinkSource(key.text, kind, to, kept, show, bool(must))
    return sinks


def _text(section: Section, key: str, right: str) -> str | None:
    node = section.need(key, right)
    return None if node is None else read_text(section.draft, node, section.at(key), f"{key} of {section.where}")


def read_show(section: Section) -> Sensitivity:
    node = section.get("show")
    if node is None:
        return Sensitivity.SENSITIVE
    text = read_text(section.draft, node, section.at("show"), f"show of {section.where}")
    try:
        return Sensitivity(text or "")
    except ValueError:
        section.draft.add(
            section.at("show"), f"show of {section.where} is no class", "write public, sensitive or secret"
        )
        return Sensitivity.PUBLIC
