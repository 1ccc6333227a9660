"""Lines to what they need. ``*`` at the end of a key means every key that begins so."""

from interlock.domain.actions import EVERYTHING, Action, Need
from interlock.ports.statement import Described, Effect, Statement

_ACTIONS = {"get": Action.READ, "set": Action.WRITE, "drop": Action.DESTROY}


def classify(text: str, *, in_transaction: bool) -> Statement:
    words = text.split()
    match words:
        case [("get" | "drop") as verb, key] | ["set" as verb, key, _]:
            action = _ACTIONS[verb]
            changes = Effect.AT_COMMIT if in_transaction else Effect.NOW
            described = Described(
                needs=(Need(action, f"key {key}"),),
                effect=changes if action.changes else Effect.NEVER,
                summary=verb,
                measurable=verb == "drop",
                fenceable=verb == "set" and not in_transaction,
            )
            return Statement(text, described, tuple(word.encode() for word in words[1:]))
        case [("dump" | "wait") as verb, amount] if amount.isascii() and amount.isdigit():
            return Statement(text, Described((Need(Action.READ),), Effect.NEVER, verb))
        case ["begin"]:
            return Statement(text, Described((Need(Action.CONNECT),), Effect.NEVER, "begin"))
        case ["commit"]:
            return Statement(text, Described((Need(Action.CONNECT),), Effect.NOW, "commit"))
    return Statement(text, Described(EVERYTHING, Effect.NOW, "unknown", unknown="no such line"))
