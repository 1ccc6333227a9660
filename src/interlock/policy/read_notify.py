"""The section ``notify``: how people are told, outside of the pages, that something waits for them."""

from collections.abc import Collection

from interlock.domain.notices import NoticeKind
from interlock.domain.sensitivity import Sensitivity
from interlock.policy.configuration import PAGE, Notifier
from interlock.policy.draft import Draft, Section, dangling, named_entries
from interlock.policy.read_sinks import read_show
from interlock.policy.scalars import read_flag, read_list, read_name, read_secret, read_text

_SERVER = "write the server that is told, such as smtps://USER@HOST or https://HOST/…"
_FROM = "write the address from which mail comes"
_NEEDS = {
    "smtp": {"to": _SERVER, "from": _FROM},
    "webhook": {"to": _SERVER, "secret": "write where the key of its signatures is kept, such as env:NAME"},
    "slack": {
        "secret": "write where the bot's token is kept, such as env:NAME",
        "signing_secret": "write where the app's signing secret is kept, such as env:NAME",
    },
    "teams": {"secret": "write where the workflow's address, which is a secret, is kept, such as env:NAME"},
}
"""What a kind cannot do without. One that is not ours says so itself, at the start."""
_MEANS_NOTHING = {
    "smtp": ("older_secret", "signing_secret", "inside"),
    "webhook": ("from", "signing_secret"),
    "slack": ("from", "older_secret"),
    "teams": ("to", "from", "older_secret", "signing_secret"),
}


def read_notify(draft: Draft, schemes: Collection[str]) -> dict[str, Notifier]:
    notifiers = {}
    for key, node in named_entries(draft, "notify", "notifier"):
        path = ("notify", key.text)
        read_name(draft, key, path, "the notifier's name")
        section = Section(draft, node, path, "notify.NAME", f"the notifier {key.text}")
        kind = _text(section, "kind", "write kind: smtp, slack, teams or webhook") or ""
        if PAGE in (kind, key.text):
            draft.add(path, f"the notifier {key.text} cannot be", "the page is always there: leave it out")
        for name, right in _NEEDS.get(kind, {}).items():
            section.need(name, right)
        for name in _MEANS_NOTHING.get(kind, ()):
            if section.get(name) is not None:
                draft.add(section.at(name), f"{name} of {section.where} means nothing", f"{kind} has none")
        kept = {name: _secret(section, name, schemes) for name in ("secret", "older_secret", "signing_secret")}
        inside = section.get("inside")
        show = read_show(section)
        if show is Sensitivity.SECRET:
            draft.add(section.at("show"), f"{section.where} cannot show secrets", "write public or sensitive")
        notifiers[key.text] = Notifier(
            key.text,
            kind,
            _text(section, "to") or "",
            **kept,
            sender=_text(section, "from") or "",
            inside=inside is not None
            and bool(read_flag(draft, inside, section.at("inside"), f"inside of {section.where}")),
            show=show,
            on=_on(section),
        )
    return notifiers


def _text(section: Section, key: str, right: str = "") -> str | None:
    node = section.need(key, right) if right else section.get(key)
    return None if node is None else read_text(section.draft, node, section.at(key), f"{key} of {section.where}")


def _secret(section: Section, key: str, schemes: Collection[str]) -> str | None:
    node = section.get(key)
    return (
        None
        if node is None
        else read_secret(section.draft, node, section.at(key), f"{key} of {section.where}", schemes)
    )


def _on(section: Section) -> frozenset[NoticeKind]:
    node = section.get("on")
    if node is None:
        return frozenset(NoticeKind)
    known = [kind.value for kind in NoticeKind]
    words = read_list(section.draft, node, section.at("on"), f"on of {section.where}", empty="leave it out for all")
    return frozenset(
        NoticeKind(word) for path, word in words or () if not dangling(section.draft, path, "notice", word, known)
    )
