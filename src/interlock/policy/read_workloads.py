"""The section ``workloads``: jobs of CI systems, known by what their provider signs about them."""

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from interlock.domain.people import Person
from interlock.policy.configuration import Workload
from interlock.policy.draft import Draft, Section, dangling, named_entries, shown
from interlock.policy.nodes import Node, Table
from interlock.policy.read_running import is_issuer
from interlock.policy.scalars import read_list, read_name, read_text

_CHECKED = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti"})
"""Claims that are looked at in any case, or differ in every token."""

_WHOSE: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "token.actions.githubusercontent.com": frozenset({"sub", "repository", "repository_id"}),
        "gitlab.com": frozenset({"sub", "project_path", "project_id"}),
    }
)
"""Providers that sign for everybody's jobs, and the claims that say whose job it is."""


def read_workloads(draft: Draft, people: Mapping[str, Person], *, directory: bool) -> dict[str, Workload]:
    """``directory``: whether people come from a directory too, so that an owner need not stand in the file."""
    workloads = {}
    for key, node in named_entries(draft, "workloads", "workload"):
        path = ("workloads", key.text)
        read_name(draft, key, path, "the workload's name")
        section = Section(draft, node, path, "workloads.NAME", f"the workload {key.text}")
        workload = _read_workload(section, key.text, people, directory=directory)
        if workload is not None:
            workloads[key.text] = workload
    return workloads


def _read_workload(section: Section, name: str, people: Mapping[str, Person], *, directory: bool) -> Workload | None:
    draft = section.draft
    texts: dict[str, str] = {}
    for key, right in (
        ("owner", "write the person as whom it counts"),
        ("issuer", "write the provider's issuer, such as https://token.actions.githubusercontent.com"),
        ("audience", ""),
        ("ca", ""),
    ):
        node = section.need(key, right) if right else section.get(key)
        text = None if node is None else read_text(draft, node, section.at(key), f"{key} of {section.where}")
        if text is not None:
            texts[key] = text
    if "issuer" in texts and not is_issuer(texts["issuer"]):
        draft.add(section.at("issuer"), f"the issuer of {section.where} is no https address", "write https://HOST/…")
    if "owner" in texts and texts["owner"] not in people and not directory:
        dangling(draft, section.at("owner"), "person", texts["owner"], draft.declared("people"))
    listed = section.need(
        "claims", "write what its tokens say, such as {repository: acme/orders, ref: refs/heads/main}"
    )
    claims = {} if listed is None else _read_claims(section, listed)
    _check_whose(section, texts.get("issuer", ""), claims)
    if not {"owner", "issuer"} <= texts.keys() or not claims:
        return None
    return Workload(name, texts["owner"], texts["issuer"], claims, texts.get("audience", ""), texts.get("ca", ""))


def _read_claims(section: Section, node: Node) -> dict[str, frozenset[str]]:
    draft, path = section.draft, section.at("claims")
    if not isinstance(node, Table) or not node.entries:
        draft.add(path, f"claims of {section.where} are no mapping", "write {CLAIM: VALUE, CLAIM: [VALUE, VALUE]}")
        return {}
    claims: dict[str, frozenset[str]] = {}
    for key, value in node.entries:
        at = (*path, key.text)
        if key.text in _CHECKED:
            draft.add(at, f"the claim {key.text} is looked at in any case", "leave it out")
            continue
        what = f"the claim {shown(key.text)} of {section.where}"
        values = read_list(draft, value, at, what, empty="write the values that it may have")
        for place, text in values or ():
            if "*" in text:
                right = "write each value out, in a list"
                draft.add(place, f"{what} is compared exactly, and {shown(text)} means nothing else", right)
        if values:
            claims[key.text] = frozenset(text for _, text in values)
    return claims


def _check_whose(section: Section, issuer: str, claims: Mapping[str, frozenset[str]]) -> None:
    """A provider that signs for everybody must be asked whose job it is."""
    host = urlsplit(issuer).hostname if is_issuer(issuer) else None
    whose = _WHOSE.get(host or "")
    if whose and claims and not whose & claims.keys():
        section.draft.add(
            section.at("claims"),
            f"with these claims {section.where} would be anybody's job at {host}",
            f"name one of {', '.join(sorted(whose))} too",
        )
