"""Every key that the configuration knows, by where it stands. docs/configuration.md documents each one.

``NAME`` stands for a name that people choose, ``[]`` for the items of a list. Where names of people's own choosing
are allowed beside the known ones (labels in ``on``, a protocol's own settings in a resource), the reader says so.
``cases`` is a file of its own, for ``interlock policy test``; docs/policy.md documents it.
"""

from collections.abc import Mapping

KEYS: Mapping[str, tuple[str, ...]] = {
    "": (
        "resources",
        "vendors",
        "people",
        "contracts",
        "roles",
        "separations",
        "chains",
        "cedar",
        "listen",
        "timing",
        "state",
        "witnesses",
        "scim",
        "providers",
        "workloads",
        "sinks",
        "recordings",
    ),
    "resources.NAME": ("kind", "address", "credential", "labels"),
    "resources.NAME.credential": ("user", "secret"),
    "vendors.NAME": (),
    "people.NAME": ("vendor", "groups", "identities"),
    "contracts.NAME": ("vendor", "sponsor", "start", "end", "roles", "people", "review"),
    "roles.NAME": ("on", "allow", "hold", "fence", "lend"),
    "roles.NAME.on": ("kind", "resources"),
    "roles.NAME.hold": ("actions", "approvals"),
    "roles.NAME.fence": ("rows",),
    "roles.NAME.lend": ("longest", "approvals", "mfa"),
    "approvals[]": ("from", "count", "same_vendor"),
    "approvals[].from": ("group", "sponsor", "people"),
    "separations[]": ("conflict",),
    "chains.NAME": ("duties", "separate", "bind", "independent", "at_least", "at_most", "by", "dead_ends", "claims"),
    "chains.NAME.by.DUTY": ("group", "people"),
    "chains.NAME.at_least": ("persons", "duties"),
    "chains.NAME.at_most": ("persons", "duties"),
    "chains.NAME.claims": ("min_persons", "min_vendors", "survives_absences"),
    "listen.NAME": ("address", "clear_text"),
    "timing": ("lease", "hold", "login", "presence", "request", "measure", "lock_wait"),
    "witnesses": ("need", "of"),
    "witnesses.of[]": ("url", "key"),
    "providers.NAME": ("issuer", "client_id", "secret", "ca", "claim", "domains"),
    "workloads.NAME": ("owner", "issuer", "audience", "ca", "claims"),
    "scim": ("secret", "groups", "most_ends"),
    "recordings": ("own",),
    "sinks.NAME": ("kind", "to", "secret", "show"),
    "cases": ("cases",),
    "cases[]": ("name", "person", "roles", "resource", "statement", "action", "part", "expect", "present", "at"),
}
