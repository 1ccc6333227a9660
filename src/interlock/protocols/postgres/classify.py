"""What an SQL text needs, exactly or not at all: PostgreSQL's own parser reads it, and every node has a rule.

``docs/postgres-classification.md`` has the table of how everything is classified, and why.
"""

from interlock.domain.actions import Action
from interlock.protocols.postgres.classify_definitions import DEFINITION_RULES
from interlock.protocols.postgres.classify_functions import FUNCTION_RULES
from interlock.protocols.postgres.classify_parser import Tree, UnreadableError, read_statements
from interlock.protocols.postgres.classify_result import (
    Classified,
    ClassifyContext,
    NotUnderstoodError,
    not_understood,
)
from interlock.protocols.postgres.classify_rows import ROW_RULES
from interlock.protocols.postgres.classify_session import SESSION_RULES
from interlock.protocols.postgres.classify_summary import summarize
from interlock.protocols.postgres.classify_template import Literal, watch_literals
from interlock.protocols.postgres.classify_walk import Findings, Rule

__all__ = ["RULES", "Classified", "ClassifyContext", "classify", "classify_template"]

RULES: dict[str, Rule] = {**FUNCTION_RULES, **ROW_RULES, **SESSION_RULES, **DEFINITION_RULES}
"""Every node type, and field of a fixed type, that needs something, with what it needs."""


def classify(text: str, context: ClassifyContext) -> Classified:
    """The classification of ``text``. Never raises, whatever the text: what is not understood needs everything.

    It takes tens of microseconds for an ordinary statement, and about a second for one of several megabytes: such
    a text is better classified on another thread, which is safe.
    """
    return classify_template(text, context, [])[0]


def classify_template(text: str, context: ClassifyContext, places: list[tuple[int, int]]) -> tuple[Classified, bool]:
    """Classify ``text``, and whether every text of its template is classified so; see ``template.py`` for ``places``.

    As ``classify`` otherwise. Without places it holds for the text alone, which has no other template.
    """
    watched: list[Literal] | None = []
    if not context.standard_conforming_strings:
        why = "standard_conforming_strings is off, and strings would be read differently"
        return not_understood(why), False
    try:
        statements = read_statements(text)
        if places:
            watched = watch_literals(statements, text.encode(), places)
        classified = _classify_statements(statements, context)
    except (UnreadableError, NotUnderstoodError) as error:
        return not_understood(str(error)), False
    except RecursionError:
        return not_understood("the statement is nested too deeply"), False
    except (LookupError, AttributeError, TypeError, ValueError, MemoryError) as error:
        return not_understood(f"the statement has a form that is not known: {error!r}"), False
    return classified, watched is not None and not any(literal.read for literal in watched)


def _classify_statements(statements: list[Tree], context: ClassifyContext) -> Classified:
    findings = Findings(RULES, context)
    for node in statements:
        findings.count += 1
        findings.summaries.append(summarize(node))
        goes_on = findings.ends_transaction and "TransactionStmt" not in node
        findings.statement(node)
        if goes_on and context.read_only:
            # The first transaction may have lifted, out of sight, what holds the next one read-only.
            findings.need(Action.EXECUTE, "what follows a COMMIT in one text")
    return findings.result()
