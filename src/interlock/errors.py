"""Every error a person can meet, as a sentence: what happened, why, and what to type next.

Two families, turned into a reply at one boundary each (the command line, the API, a protocol):

* ``Refusal``: Interlock works and says no. The person may do something about it.
* ``Failure``: something Interlock needs is not as it must be. The operator may do something about it.

A ``Misuse`` is neither: our own code broke a contract of its own, and it is never shown as a refusal.
"""


class InterlockError(Exception):
    """What all of Interlock's errors share: a sentence, and what to do next.

    ``sentence`` says what happened and why; ``remedy`` says what to type or whom to ask, and may be empty.
    """

    exit_code = 1

    def __init__(self, sentence: str, remedy: str = "") -> None:
        super().__init__(f"{sentence} {remedy}".strip())
        self.sentence = sentence
        self.remedy = remedy


class Refusal(InterlockError):
    """A no, with its reason. ``code`` is a stable word for machines, such as ``self-approval``."""

    def __init__(self, code: str, sentence: str, remedy: str = "") -> None:
        super().__init__(sentence, remedy)
        self.code = code


class NotFound(Refusal):
    """A name or number that stands for nothing the person may know of."""

    def __init__(self, sentence: str, remedy: str = "") -> None:
        super().__init__("not-found", sentence, remedy)


class Failure(InterlockError):
    """The installation cannot do its work: a port in use, a database down, a full disk."""


class ConfigurationError(Failure):
    """A configuration that cannot be loaded; ``mistakes`` holds one line for each, with file and line."""

    def __init__(self, mistakes: tuple[str, ...], remedy: str = "") -> None:
        super().__init__("\n".join(mistakes), remedy)
        self.mistakes = mistakes


class PeerError(InterlockError):
    """The other side of a connection broke its protocol; the connection ends with this sentence."""


class Misuse(RuntimeError):
    """A contract inside Interlock was broken by Interlock. Always a bug, never an answer to a person."""
