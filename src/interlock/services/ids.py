"""Ids that people read aloud and type: a letter for the kind and eight characters of Crockford's base32."""

import secrets
from typing import Literal

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(kind: Literal["r", "g", "l", "s"]) -> str:
    """``r`` request, ``g`` grant, ``l`` login, ``s`` session; 40 random bits. Unique by the state's own key."""
    return f"{kind}-" + "".join(secrets.choice(_ALPHABET) for _ in range(8))
