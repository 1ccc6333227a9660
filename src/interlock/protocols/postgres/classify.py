"""What an SQL text needs, exactly or not at all: PostgreSQL's own parser reads it, and every node has a rule."""

from interlock.protocols.postgres.classify_result import Classified, ClassifyContext, not_understood

__all__ = ["Classified", "ClassifyContext", "classify"]


def classify(text: str, context: ClassifyContext) -> Classified:
    """The classification of ``text``. Never raises, whatever the text: what is not understood needs everything."""
    if not context.standard_conforming_strings:
        return not_understood("standard_conforming_strings is off, and strings would be read differently")
    if "\0" in text:
        return not_understood("the text holds a NUL character")
    return not_understood("no rule is known for this text")
