"""The section ``policy``: who approves a change of the configuration itself."""

from interlock.domain.roles import ApprovalRule
from interlock.policy.draft import Draft, Section
from interlock.policy.nodes import Scalar
from interlock.policy.read_roles import read_rules


def read_policy_approvals(draft: Draft, groups: frozenset[str]) -> tuple[ApprovalRule, ...]:
    node = next((value for key, value in draft.tree.entries if key.text == "policy"), None)
    if node is None or (isinstance(node, Scalar) and node.empty):
        return ()
    section = Section(draft, node, ("policy",), "policy", "policy")
    value = section.need("approvals", "write who approves a change, such as [{from: {group: NAME}, count: 1}]")
    if value is None:
        return ()
    path = section.at("approvals")
    rules = read_rules(draft, value, path, "approvals of policy", groups, "name at least one rule") or ()
    for number, rule in enumerate(rules):
        if rule.sponsor:
            draft.add((*path, str(number)), "nobody sponsors a change of the policy", "name a group or people")
    return rules
