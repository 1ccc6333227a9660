"""Passkeys (WebAuthn level 2), the server's side of the two ceremonies. The port PasskeyChecking.

The person is always verified by the authenticator (PIN, finger, face): a key that somebody holds is not enough. The
credential is discoverable, so that a sign-in names nobody before it is proved. Attestation is not asked for.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from interlock.errors import Refusal
from interlock.ports.identity import NewPasskey

_ALGORITHMS = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]


class Passkeys:
    """``origin`` is where the pages are served; the credentials belong to its host name."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._name = urlsplit(origin).hostname or ""

    def registration_options(self, challenge: bytes, person: str, known: Sequence[str]) -> dict[str, Any]:
        options = generate_registration_options(
            rp_id=self._name,
            rp_name="Interlock",
            user_name=person,
            user_id=hashlib.sha256(person.encode()).digest(),
            challenge=challenge,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=_decode(one)) for one in known],
            supported_pub_key_algs=_ALGORITHMS,
        )
        plain: dict[str, Any] = json.loads(options_to_json(options))
        return plain

    def assertion_options(self, challenge: bytes, known: Sequence[str]) -> dict[str, Any]:
        """``known`` empty: any credential that the authenticator has for us."""
        options = generate_authentication_options(
            rp_id=self._name,
            challenge=challenge,
            allow_credentials=[PublicKeyCredentialDescriptor(id=_decode(one)) for one in known],
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        plain: dict[str, Any] = json.loads(options_to_json(options))
        return plain

    def check_registration(self, credential: Mapping[str, Any], challenge: bytes) -> NewPasskey:
        try:
            verified = verify_registration_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=self._name,
                expected_origin=self._origin,
                require_user_verification=True,
                supported_pub_key_algs=_ALGORITHMS,
            )
        except (WebAuthnException, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise _refused() from error
        return NewPasskey(_encode(verified.credential_id), _encode(verified.credential_public_key), verified.sign_count)

    def check_assertion(self, credential: Mapping[str, Any], challenge: bytes, public_key: str, uses: int) -> int:
        try:
            verified = verify_authentication_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=self._name,
                expected_origin=self._origin,
                credential_public_key=_decode(public_key),
                credential_current_sign_count=uses,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise _refused() from error
        return verified.new_sign_count


def _refused() -> Refusal:
    return Refusal(
        "wrong-passkey",
        "The passkey did not prove that you are there: for this page, this moment, and verified by PIN or finger.",
        "Try again, or sign in another way.",
    )


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
