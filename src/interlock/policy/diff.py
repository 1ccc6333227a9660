"""What changes from one configuration to another, in sentences for the people who decide about it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import TypeVar

from interlock.domain.actions import Action
from interlock.domain.durations import format_duration
from interlock.domain.people import Contract, Person, Vendor
from interlock.domain.resources import Resource, Selector
from interlock.domain.roles import ApprovalRule, BreakGlass, Role
from interlock.policy.cedar_text import split_policies
from interlock.policy.configuration import Claims, Configuration, ConflictKind, Mitigation
from interlock.policy.diff_chains import chain_changes

_Part = TypeVar("_Part")


def describe_changes(old: Configuration, new: Configuration) -> tuple[str, ...]:
    """One sentence for each difference that can matter; empty when both mean the same."""
    return (
        *_by_name("resource", old.resources, new.resources, _resource, _resource_changes),
        *_by_name("vendor", old.vendors, new.vendors, _vendor, _no_changes),
        *_by_name("person", old.people, new.people, _person, _person_changes),
        *_identity_changes(old, new),
        *_by_name("contract", old.contracts, new.contracts, _contract, _contract_changes),
        *_by_name("role", old.roles, new.roles, _role, _role_changes),
        *_conflict_changes(old, new),
        *chain_changes(old.chains, new.chains),
        *_claim_changes(old, new),
        *_guard_changes(old, new),
        *_whole("listener", old.listen, new.listen),
        *_clear_text_changes(old, new),
        *_timing_changes(old, new),
        *_state_changes(old, new),
        *_scim_changes(old, new),
        *_whole("identity provider", old.providers, new.providers),
        *_whole("receiver of security events", old.receivers, new.receivers),
        *_password_changes(old, new),
        *_recovery_changes(old, new),
        *_gateway_changes(old, new),
        *_key_service_changes(old, new),
        *_invitation_changes(old, new),
        *_whole("workload", old.workloads, new.workloads),
        *_whole("forge", old.forges, new.forges),
        *_whole("repository", old.repositories, new.repositories),
        *_lent_by_gates(old, new),
        *_whole("sink", old.sinks, new.sinks),
        *_whole("notifier", old.notify, new.notify),
        *_whole("detection", old.detections, new.detections),
        *_witness_changes(old, new),
        *_cedar_changes(old.cedar, new.cedar),
    )


def _by_name(
    noun: str,
    old: Mapping[str, _Part],
    new: Mapping[str, _Part],
    describe: Callable[[_Part], str],
    compare: Callable[[_Part, _Part], Iterable[str]],
) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            yield f"The {noun} {name} is gone."
        elif name not in old:
            yield f"The {noun} {name} is new: {describe(new[name])}."
        elif old[name] != new[name]:
            for sentence in compare(old[name], new[name]):
                yield f"The {noun} {name} {sentence}."


def _whole(noun: str, old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            yield f"The {noun} {name} is gone."
        elif name not in old:
            yield f"The {noun} {name} is new."
        elif old[name] != new[name]:
            yield f"The {noun} {name} has changed."


def _password_changes(old: Configuration, new: Configuration) -> Iterator[str]:
    if old.passwords != new.passwords:
        yield f"People {'now' if new.passwords else 'no longer'} sign in with passwords of Interlock's own."


def _key_service_changes(old: Configuration, new: Configuration) -> Iterator[str]:
    if old.openbao == new.openbao:
        return
    if new.openbao is None:
        yield "Keys are kept in files, and in no key service any more."
    else:
        kept = [name for name in ("ledger", "recordings") if getattr(new.openbao, name)]
        yield (
            f"The key service at {new.openbao.address} keeps the key of the {' and the '.join(kept) or 'nothing'}"
            + ("." if old.openbao is None else f" (was: at {old.openbao.address}, or with other settings).")
        )


def _gateway_changes(old: Configuration, new: Configuration) -> Iterator[str]:
    if old.gateways != new.gateways:
        named = ", ".join(f"{name} ({key})" for name, key in sorted(new.gateways.items()))
        yield f"The feed is followed by {named or 'every gateway that was let in'} alone."


def _invitation_changes(old: Configuration, new: Configuration) -> Iterator[str]:
    both = old.contracts.keys() & new.contracts.keys()
    for name in sorted(both & (old.uninvited ^ new.uninvited)):
        yield f"Under the contract {name} {'nobody' if name in new.uninvited else 'somebody'} can be invited."


def _recovery_changes(old: Configuration, new: Configuration) -> Iterator[str]:
    if old.recovery != new.recovery:
        who = f"two of the group {new.recovery}" if new.recovery else "nobody but the operator"
        yield f"Whoever has lost passkey, password or authenticator is let in again by {who}."


def _clear_text_changes(old: Configuration, new: Configuration) -> Iterator[str]:
    for name in sorted(old.clear_text ^ new.clear_text):
        lets = "now lets" if name in new.clear_text else "no longer lets"
        yield f"The listener {name} {lets} clients on its own machine in without TLS."


def _resource(resource: Resource) -> str:
    labels = ", ".join(f"{key}={value}" for key, value in sorted(resource.labels.items()))
    return f"{resource.kind} at {resource.host}:{resource.port}" + (f" with {labels}" if labels else "")


def _resource_changes(old: Resource, new: Resource) -> Iterator[str]:
    if (old.kind, old.host, old.port) != (new.kind, new.host, new.port):
        yield f"is now {new.kind} at {new.host}:{new.port} (was {old.kind} at {old.host}:{old.port})"
    if old.credential != new.credential:
        user = new.credential.user if new.credential else "nobody"
        yield f"is signed in to with another credential, as {user}"
    for label in sorted(old.labels.keys() | new.labels.keys()):
        before, after = old.labels.get(label), new.labels.get(label)
        if before != after:
            yield f"no longer has the label {label}" if after is None else f"now has {label}={after}" + _was(before)
    for key in sorted(old.settings.keys() | new.settings.keys()):
        if old.settings.get(key) != new.settings.get(key):
            yield f"has another {key}"


def _vendor(vendor: Vendor) -> str:
    return f"people may come from {vendor.name}"


def _no_changes(old: object, new: object) -> Iterator[str]:
    return iter(())


def _person(person: Person) -> str:
    origin = f"from {person.vendor}" if person.vendor else "an employee"
    return origin + (f", in {_list(person.groups)}" if person.groups else "")


def _person_changes(old: Person, new: Person) -> Iterator[str]:
    if old.vendor != new.vendor:
        yield (
            f"comes from {new.vendor}{_was(old.vendor or 'an employee')}"
            if new.vendor
            else (f"is an employee{_was(f'from {old.vendor}')}")
        )
    for group in sorted(new.groups - old.groups):
        yield f"joined the group {group}"
    for group in sorted(old.groups - new.groups):
        yield f"left the group {group}"


def _identity_changes(old: Configuration, new: Configuration) -> Iterator[str]:
    before, after = set(old.identities), set(new.identities)
    for identity in sorted(after - before, key=lambda one: (one.kind, one.subject, one.person)):
        yield f"The {identity.kind} identity {identity.subject} now leads to {identity.person}."
    for identity in sorted(before - after, key=lambda one: (one.kind, one.subject, one.person)):
        yield f"The {identity.kind} identity {identity.subject} no longer leads to {identity.person}."


def _contract(contract: Contract) -> str:
    who = _list(contract.people) if contract.people else f"everyone of {contract.vendor}"
    return f"{who} may have {_list(contract.roles)} {_window(contract)}, {contract.sponsor} answers for it"


def _contract_changes(old: Contract, new: Contract) -> Iterator[str]:
    if old.vendor != new.vendor:
        yield f"is with {new.vendor}{_was(old.vendor)}"
    if old.sponsor != new.sponsor:
        yield f"is sponsored by {new.sponsor}{_was(old.sponsor)}"
    if (old.start, old.end) != (new.start, new.end):
        yield f"runs {_window(new)}{_was(_window(old))}"
    yield from _more_and_less("has in its scope", new.roles - old.roles, old.roles - new.roles)
    if old.people != new.people:
        who = _list(new.people) if new.people else "everyone of the vendor"
        yield f"covers {who}{_was(_list(old.people) if old.people else 'everyone of the vendor')}"


def _window(contract: Contract) -> str:
    return f"from {contract.start:%Y-%m-%d %H:%M} until {contract.end:%Y-%m-%d %H:%M} UTC"


def _role(role: Role) -> str:
    parts = [f"allows {_actions(role.allow)} on {_selector(role.on)}", _lent(role)]
    if role.hold is not None:
        parts.append(f"holds {_actions(role.hold.actions)}")
    if role.break_glass is not None:
        parts.append(_glass(role.break_glass))
    if role.fence_rows is not None:
        parts.append(f"with a fence at {role.fence_rows} rows")
    if role.masks:
        parts.append(f"masks {_list(role.masks)}")
    return ", ".join(parts)


def _lent(role: Role) -> str:
    mfa = ", with proof of presence" if role.lending.mfa else ", without proof of presence"
    return f"is lent for {format_duration(role.lending.longest)} by {_rules(role.lending.approvals)}{mfa}"


def _role_changes(old: Role, new: Role) -> Iterator[str]:
    yield from _more_and_less("allows", new.allow - old.allow, old.allow - new.allow)
    if old.on != new.on:
        yield f"concerns {_selector(new.on)}{_was(_selector(old.on))}"
    before = old.hold.actions if old.hold else frozenset()
    after = new.hold.actions if new.hold else frozenset()
    yield from _more_and_less("holds", after - before, before - after)
    if after and before and old.hold and new.hold and old.hold.approvals != new.hold.approvals:
        default = "one person who could approve the role"
        yield f"asks for {_rules(new.hold.approvals) or default} on a held statement" + _was(
            _rules(old.hold.approvals) or default
        )
    if old.fence_rows != new.fence_rows:
        before_rows = "none" if old.fence_rows is None else f"{old.fence_rows} rows"
        yield (
            "has no fence any more" + _was(before_rows)
            if new.fence_rows is None
            else (f"has a fence at {new.fence_rows} rows{_was(before_rows)}")
        )
    yield from _more_and_less("masks", set(new.masks) - set(old.masks), set(old.masks) - set(new.masks))
    if old.lending.longest != new.lending.longest:
        yield f"is lent for {_time(new.lending.longest)} at most{_was(_time(old.lending.longest))}"
    if old.lending.approvals != new.lending.approvals:
        yield f"is lent by {_rules(new.lending.approvals)}{_was(_rules(old.lending.approvals))}"
    if old.break_glass != new.break_glass:
        yield f"{_glass(new.break_glass)} (before: {_glass(old.break_glass)})"
    if old.lending.mfa != new.lending.mfa:
        yield "now asks for proof of presence" if new.lending.mfa else "no longer asks for proof of presence"


def _glass(glass: BreakGlass | None) -> str:
    if glass is None:
        return "is never taken without approval"
    return (
        f"may be taken at once for {_time(glass.longest)} by anybody {glass.by.who}, telling those {glass.tell.who}, "
        f"reviewed by {glass.review}"
    )


_CONFLICTS = {
    ConflictKind.STATIC: ("Nobody may now hold more than one of {}.", "One person may now hold {} together."),
    ConflictKind.DYNAMIC: (
        "Nobody may now use more than one of {} at a time.",
        "One person may now use {} at one time.",
    ),
    ConflictKind.HISTORIC: (
        "Nobody may now act under more than one of {} over the same artifact.",
        "One person may now act under {} over the same artifact.",
    ),
}


def _conflict_changes(old: Configuration, new: Configuration) -> Iterator[str]:
    for kind, (stricter, looser) in _CONFLICTS.items():
        before, after = set(old.conflicts_of(kind)), set(new.conflicts_of(kind))
        for roles in sorted(after - before, key=sorted):
            yield stricter.format(_list(roles))
        for roles in sorted(before - after, key=sorted):
            yield looser.format(_list(roles))
    known = _mitigations(old)
    yield from (sentence for sentence in _mitigations(new) if sentence not in known)
    for names in sorted({names for names, _ in _mitigated(old)} - {names for names, _ in _mitigated(new)}):
        yield f"The conflict of {names} is no longer mitigated for anybody."


def _mitigated(configuration: Configuration) -> Iterator[tuple[str, Mitigation]]:
    for separation in configuration.separations:
        if separation.risk.mitigation is not None:
            yield _list(separation.names), separation.risk.mitigation


def _mitigations(configuration: Configuration) -> dict[str, None]:
    return {
        f"{_list(found.people)} may be in the conflict of {roles} until {found.until:%Y-%m-%d %H:%M} UTC: "
        f"{found.control} ({found.kind}).": None
        for roles, found in _mitigated(configuration)
    }


def _claim_changes(old: Configuration, new: Configuration) -> Iterator[str]:
    """What is claimed of a chain that stays: whoever lowers it is to be seen doing so."""
    for name in sorted(old.chains.keys() & new.chains.keys()):
        before, after = old.chains[name].claims or Claims(), new.chains[name].claims or Claims()
        for key, what in (
            ("min_persons", "persons that it takes"),
            ("min_vendors", "vendors that it takes"),
            ("survives_absences", "absences that it survives"),
        ):
            was, now = getattr(before, key), getattr(after, key)
            if was != now:
                yield f"The chain {name} claims {'more' if now > was else 'fewer'} {what}: {now}{_was(str(was))}."


def _lent_by_gates(old: Configuration, new: Configuration) -> Iterator[str]:
    """Where a gate alone lends a role, and for how long."""

    def lent(of: Configuration) -> dict[tuple[str, str], str]:
        return {
            (name, environment.name): f"{environment.role} on {environment.resource} for "
            f"{format_duration(environment.lend)}"
            for name, repository in of.repositories.items()
            for environment in repository.environments.values()
            if environment.lend is not None
        }

    before, after = lent(old), lent(new)
    for name, where in sorted(before.keys() | after.keys()):
        if before.get((name, where)) != after.get((name, where)):
            what = after.get((name, where))
            said = f"lends {what}, with no approval but the chain's" if what else "lends nothing by itself any more"
            yield f"The gate of {name} to {where} {said}."


def _guard_changes(old: Configuration, new: Configuration) -> Iterator[str]:
    if old.policy_approvals != new.policy_approvals:
        default = "1 other administrator"
        after, before = _rules(new.policy_approvals) or default, _rules(old.policy_approvals) or default
        yield f"A change of the policy is approved by {after}{_was(before)}."
    for name in sorted(old.resources.keys() & new.resources.keys()):
        if bool(old.replay_roles(name)) != bool(new.replay_roles(name)):
            yield (
                f"Recordings of {name} can be read under a role."
                if new.replay_roles(name)
                else f"No role lets recordings of {name} be read any more: nobody reads what others did there."
            )
    if old.retention != new.retention:
        yield "How long recordings are kept, or who approves that they are deleted, has changed."
    if old.own_recordings != new.own_recordings:
        may = "may" if new.own_recordings else "may no longer"
        yield f"People {may} read the recordings of their own sessions."


def _witness_changes(old: Configuration, new: Configuration) -> Iterator[str]:
    for source in new.witnesses.of:
        if source not in old.witnesses.of:
            yield f"The witness at {source.url} is new, with the key {source.key}."
    for source in old.witnesses.of:
        if source not in new.witnesses.of:
            yield f"The witness at {source.url} with the key {source.key} is gone."
    if old.witnesses.need != new.witnesses.need:
        yield f"{new.witnesses.need} witnesses must have cosigned{_was(str(old.witnesses.need))}."


def _timing_changes(old: Configuration, new: Configuration) -> Iterator[str]:
    for name in type(new.timing).__dataclass_fields__:
        before, after = getattr(old.timing, name), getattr(new.timing, name)
        if before != after:
            yield f"The timing {name} is {_time(after)}{_was(_time(before))}."


def _state_changes(old: Configuration, new: Configuration) -> Iterator[str]:
    if old.state != new.state:
        # A URL may hold a password, so neither is shown.
        yield "The state is kept in another database."
    if old.objects != new.objects:
        yield "The ledger or the recordings are kept elsewhere, on a machine that is started with this file."


def _scim_changes(old: Configuration, new: Configuration) -> Iterator[str]:
    if old.scim == new.scim:
        return
    if new.scim is None:
        yield "No directory may change people any more."
        return
    groups = ", ".join(sorted(new.scim.groups)) or "no groups"
    yield (
        f"A directory may add and end people, {new.scim.most_ends} ends an hour, and fill {groups}; "
        f"{'its secret is kept as before' if old.scim and old.scim.secret == new.scim.secret else 'its secret is new'}."
    )


def _cedar_changes(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for file in sorted(old.keys() | new.keys()):
        before = [policy.text for policy in split_policies(old.get(file, ""))]
        after = [policy.text for policy in split_policies(new.get(file, ""))]
        added = sum(text not in before for text in after)
        removed = sum(text not in after for text in before)
        if added or removed:
            yield f"The Cedar file {file} has {_count(added, 'new policy', 'new policies')} and {removed} fewer."


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _more_and_less(verb: str, more: Iterable[str], less: Iterable[str]) -> Iterator[str]:
    if more := list(more):
        yield f"now also {verb} {_actions(more)}"
    if less := list(less):
        yield f"no longer {verb} {_actions(less)}"


def _actions(names: Iterable[str]) -> str:
    order = {action.value: place for place, action in enumerate(Action)}
    return ", ".join(sorted((str(name) for name in names), key=lambda name: (order.get(name, 99), name)))


def _selector(on: Selector) -> str:
    parts = [f"kind {on.kind}"] if on.kind else []
    parts += [_list(on.names)] if on.names else []
    parts += [f"{key}={value}" for key, value in sorted(on.labels.items())]
    return " with ".join(parts) if parts else "nothing"


def _rules(rules: Iterable[ApprovalRule]) -> str:
    return " and ".join(f"{rule}{' (same vendor too)' if rule.same_vendor else ''}" for rule in rules)


def _time(duration: timedelta) -> str:
    return format_duration(duration)


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _was(before: str | None) -> str:
    return "" if before is None else f" (was {before})"
