"""Ids that people read aloud and type: a letter for the kind and characters of Crockford's base32.

How many depends on who can look for one that is taken. A request, a grant, a login and a delegation are made inside
the unit of work that saves them: it asks the state and draws again, so eight characters are enough. A session is made
by a gateway, which asks nobody; two of the same id would share one recording, and the second one's would be lost. So
chance alone keeps sessions apart: with 65 random bits, two among a million sessions meet with a probability of 1 in 70
million.
"""

import secrets
from collections.abc import Mapping
from typing import Literal

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_BITS, _LAST = 5, 31
"""Of one character: how many, and the greatest number that they make."""
_LENGTHS: Mapping[str, int] = {"r": 8, "g": 8, "l": 8, "d": 8, "s": 13, "t": 13, "e": 13, "h": 8, "i": 8, "p": 13}


def new_id(kind: Literal["r", "g", "l", "d", "s", "t", "e", "h", "i", "p"]) -> str:
    """``r`` request, ``g`` grant, ``l`` login, ``d`` delegation, ``h`` legal hold, ``i`` invitation: 40 random bits,
    unique by the state's own key.

    ``s`` session, ``t`` duty, ``e`` evidence, ``p`` pass: 65.
    """
    length = _LENGTHS[kind]
    drawn = secrets.randbits(_BITS * length)
    return f"{kind}-" + "".join(_ALPHABET[drawn >> _BITS * place & _LAST] for place in range(length))
