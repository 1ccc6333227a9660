"""Why a caller is not who it says it is. The API turns each of these into a 401."""

from enum import StrEnum

from interlock.errors import Refusal


class NotAuthentic(Refusal):
    """Nobody has proved who they are. ``oauth_error`` is the word for ``WWW-Authenticate`` (RFC 6750, RFC 9449)."""

    oauth_error = "invalid_token"


class TokenRefused(NotAuthentic):
    """The access token is missing, not ours, over, or of another scope than the call asks for."""


class ProofProblem(StrEnum):
    """Which check of RFC 9449 section 4.3 a proof did not pass."""

    MISSING = "proof-missing"
    UNREADABLE = "proof-unreadable"
    TYPE = "proof-type"
    ALGORITHM = "proof-algorithm"
    KEY = "proof-key"
    SIGNATURE = "proof-signature"
    CLAIMS = "proof-claims"
    METHOD = "proof-method"
    ADDRESS = "proof-address"
    NONCE = "proof-nonce"
    TIME = "proof-time"
    TOKEN = "proof-token"  # noqa: S105 -- the name of a check, not a secret
    BINDING = "proof-binding"
    REPLAY = "proof-replay"


class ProofRefused(NotAuthentic):
    """The DPoP proof does not prove what it must; ``problem`` names the check."""

    oauth_error = "invalid_dpop_proof"

    def __init__(self, problem: ProofProblem, sentence: str, remedy: str = "") -> None:
        super().__init__(problem.value, sentence, remedy)
        self.problem = problem


class NonceNeeded(ProofRefused):
    """The proof lacks the server's nonce, or has an old one: the client tries again with the one it is given."""

    oauth_error = "use_dpop_nonce"

    def __init__(self) -> None:
        super().__init__(ProofProblem.NONCE, "The proof must carry the server's current nonce.", "Try again with it.")
