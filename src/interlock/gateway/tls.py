"""The TLS contexts: ours as a server towards clients, ours as a client towards a resource."""

import ssl
from collections.abc import Sequence

from interlock.errors import Failure, PeerError
from interlock.gateway.settings import ServerIdentity

_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which the ssl module does not name."""


def server_context(identity: ServerIdentity, alpn: Sequence[str] = ()) -> ssl.SSLContext:
    """TLS 1.2 or later; a client may show a certificate, and when it does our authority must have issued it.

    Whether the certificate's time is over is not asked here but at the admission, which can say so in a sentence
    where OpenSSL has only an alert. There are no session tickets: each connection shows its certificate again.
    Raises Failure when the files cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(identity.certificate, identity.key)
        context.load_verify_locations(identity.authority)
    except (OSError, ssl.SSLError) as error:
        raise Failure(
            f"The gateway's certificate cannot be used ({identity.certificate}, {identity.key}, "
            f"{identity.authority}): {error}.",
            "`interlock doctor` says what is wrong with the keys.",
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags = ssl.VerifyFlags(context.verify_flags | _NO_CHECK_TIME)
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.num_tickets = 0
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def upstream_context(mode: str, trust: str | None, alpn: Sequence[str] = ()) -> ssl.SSLContext:
    """TLS towards a resource, in libpq's words.

    ``verify-full`` checks the chain and the name, ``verify-ca`` the chain, ``require`` nothing. ``trust`` is a PEM
    file, else the system's authorities. Raises PeerError for a file that cannot be used, ValueError for another mode.
    """
    if mode not in ("verify-full", "verify-ca", "require"):
        raise ValueError(f"there is no TLS mode {mode!r}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = mode == "verify-full"
    context.verify_mode = ssl.CERT_NONE if mode == "require" else ssl.CERT_REQUIRED
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    if context.verify_mode is not ssl.CERT_NONE:
        try:
            if trust is None:
                context.load_default_certs(ssl.Purpose.SERVER_AUTH)
            else:
                context.load_verify_locations(trust)
        except (OSError, ssl.SSLError) as error:
            raise PeerError(f"The authorities for the upstream's TLS, {trust}, cannot be read: {error}.") from error
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context
