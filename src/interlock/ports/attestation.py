"""What the delivery chain needs of signatures: statements sealed, and those that others sealed opened."""

from collections.abc import Mapping
from typing import Any, Protocol


class Attestor(Protocol):
    """Envelopes are DSSE as JSON text; statements are in-toto's."""

    def attest(self, statement: Mapping[str, Any]) -> str:
        """The statement in an envelope, signed with the control plane's attesting key."""

    def countersign(self, envelope: str, *, key: str) -> tuple[Mapping[str, Any], str]:
        """What a person's key (``key`` is its thumbprint, its JWK stands in the statement) has signed, and the envelope
        with our signature added. Raises Refusal (``bad-envelope``) for anything else."""

    def open_build(self, envelope: str, builders: Mapping[str, str]) -> tuple[Mapping[str, Any], str]:
        """What one of the builders (public keys by name) has signed, and that builder's name. Raises Refusal."""
