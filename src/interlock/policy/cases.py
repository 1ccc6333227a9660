"""Cases that say what a policy should decide, and whether it does: the pure part of ``interlock policy test``.

A file of cases::

    cases:
      - person: dev@acme.example
        roles: [reader]                     # held; a case may hold none
        resource: orders
        statement: DELETE FROM orders       # or `action: destroy`, with `part: table public.orders`
        expect: deny                        # allow, deny or hold
        present: true                       # whether presence was just proved; true unless said
        at: 2026-12-01T10:00:00Z            # now, unless said
        name: a reader deletes nothing      # for the result
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from interlock.domain.actions import Action, Need
from interlock.domain.decisions import Decision, Effect
from interlock.errors import ConfigurationError
from interlock.policy.configuration import Configuration
from interlock.policy.decide import Decider, Question
from interlock.policy.draft import Draft, Section, dangling, shown
from interlock.policy.mistakes import Mistakes, did_you_mean
from interlock.policy.nodes import Listing, Scalar, Table, read_tree
from interlock.policy.scalars import read_flag, read_list, read_moment, read_text

Describe = Callable[[str, str], tuple[Need, ...]]
"""What a statement of a kind of resource needs: (kind, text) to needs, as the protocol says it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One expectation. Exactly one of ``statement`` and ``need`` is given; ``at`` None means now."""

    name: str
    line: int
    person: str
    roles: frozenset[str]
    resource: str
    statement: str | None
    need: Need | None
    expect: Effect
    present: bool = True
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a case: ``passed``, the decision, and a sentence that says both."""

    case: Case
    passed: bool
    decision: Decision
    sentence: str


def load_cases(text: str, source: str, configuration: Configuration) -> tuple[Case, ...]:
    """The cases of ``text``. Raises ConfigurationError with every mistake as ``file:line: sentence``."""
    mistakes = Mistakes(source)
    tree = read_tree(text, mistakes)
    if tree is None:
        mistakes.check()
        raise ConfigurationError((f"{source}:1: the file says nothing",))
    draft = Draft(tree, mistakes)
    node = Section(draft, tree, (), "cases", "the file").need("cases", "write cases: and a list under it")
    cases: list[Case | None] = []
    if isinstance(node, Listing) and node.items:
        for number, item in enumerate(node.items):
            section = Section(draft, item, ("cases", str(number)), "cases[]", f"case {number + 1}")
            if isinstance(item, Table):
                cases.append(_read_case(section, number, configuration))
    elif not mistakes.any:
        draft.add(("cases",), "there is no case", "write - {person: …, roles: […], resource: …, action: …, expect: …}")
    mistakes.check()
    return tuple(case for case in cases if case is not None)


def _read_case(section: Section, number: int, configuration: Configuration) -> Case | None:
    draft = section.draft
    person = _read_known(section, "person", configuration.people)
    resource = _read_known(section, "resource", configuration.resources)
    roles = None
    if (node := section.need("roles", "write the roles held, [] for none")) is not None:
        items = read_list(draft, node, section.at("roles"), f"roles of {section.where}")
        roles = [name for path, name in items or () if not dangling(draft, path, "role", name, configuration.roles)]
    statement, need = _read_what(section)
    expect = _read_word(section, "expect", [effect.value for effect in Effect])
    name = _read_optional(section, "name") or f"case {number + 1}"
    present: bool | None = True
    if (node := section.get("present")) is not None:
        present = read_flag(draft, node, section.at("present"), f"present of {section.where}")
    at = None
    if (node := section.get("at")) is not None:
        at = read_moment(draft, node, section.at("at"), f"at of {section.where}", last_day=False)
    if person is None or resource is None or roles is None or expect is None or present is None:
        return None
    line = draft.line(*section.path)
    return Case(name, line, person, frozenset(roles), resource, statement, need, Effect(expect), present, at)


def _read_known(section: Section, key: str, known: Iterable[str]) -> str | None:
    node = section.need(key, f"name a {key} of the configuration")
    name = None if node is None else read_text(section.draft, node, section.at(key), f"{key} of {section.where}")
    if name is None or dangling(section.draft, section.at(key), key, name, known):
        return None
    return name


def _read_optional(section: Section, key: str) -> str | None:
    node = section.get(key)
    return None if node is None else read_text(section.draft, node, section.at(key), f"{key} of {section.where}")


def _read_word(section: Section, key: str, words: Sequence[str]) -> str | None:
    node = section.need(key, f"write one of {', '.join(words)}")
    word = None if node is None else read_text(section.draft, node, section.at(key), f"{key} of {section.where}")
    if word is not None and word not in words:
        section.draft.add(section.at(key), f"{key} of {section.where} is {shown(word)}", did_you_mean(word, words))
        return None
    return word


def _read_what(section: Section) -> tuple[str | None, Need | None]:
    """The statement, or the need that ``action`` and ``part`` describe: exactly one of both."""
    draft = section.draft
    statement = section.get("statement")
    if statement is not None and section.get("action") is not None:
        draft.add(section.at("action"), f"{section.where} has a statement and an action", "keep one of the two")
        return None, None
    if statement is not None:
        if section.get("part") is not None:
            draft.add(section.at("part"), f"part of {section.where} goes with an action", "a statement names its parts")
        if isinstance(statement, Scalar):
            return statement.text, None
        draft.add(section.at("statement"), f"statement of {section.where} is no text", "write the statement as text")
        return None, None
    action = _read_word(section, "action", [action.value for action in Action])
    part = _read_optional(section, "part") or ""
    return None, None if action is None else Need(Action(action), part)


def run_cases(
    configuration: Configuration, cases: Iterable[Case], describe: Describe, *, now: datetime
) -> tuple[Result, ...]:
    """What ``configuration`` decides in each case, and whether that was expected."""
    decider = Decider(configuration)
    return tuple(_run(decider, case, describe, now) for case in cases)


def _run(decider: Decider, case: Case, describe: Describe, now: datetime) -> Result:
    resource = decider.configuration.resources[case.resource]
    needs = (case.need,) if case.need is not None else describe(resource.kind, case.statement or "")
    at = case.at or now
    person = decider.configuration.people[case.person]
    question = Question(person, resource, case.roles, needs, at, at if case.present else None)
    decision = decider.decide(question)
    passed = decision.effect is case.expect
    why = f": {decision.reason}" if decision.reason else f" by {', '.join(decision.policies)}"
    expected = "as expected" if passed else f"and {case.expect} was expected"
    return Result(case, passed, decision, f"{case.name}: {decision.effect}, {expected}{why}")
