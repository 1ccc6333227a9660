"""An authority with a server's and a client's certificate (P-256), for the peers that are compared with."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

AUTHORITY, SERVER, CLIENT = "authority", "server", "client"
_DAYS = 2


def write_certificates(folder: Path, client: str) -> None:
    """``authority.crt``, ``server.crt``, ``server.key``, ``client.crt`` and ``client.key``; ``client`` is a CN."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate(AUTHORITY, authority_key, None)
    (folder / "authority.crt").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    for name, common in ((SERVER, "localhost"), (CLIENT, client)):
        key = ec.generate_private_key(ec.SECP256R1())
        issued = _certificate(common, key, (authority, authority_key))
        # With its chain, as Interlock's own are: OpenSSL builds it in each handshake where it is not in the file.
        chain = (issued, authority)
        (folder / f"{name}.crt").write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain))
        private = folder / f"{name}.key"
        private.touch(0o600)
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


def copy_for(folder: Path, account: tuple[int, int]) -> None:
    """Give every file of ``folder`` to ``account``."""
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, *account)


def _certificate(
    common: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
) -> x509.Certificate:
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if issuer is None else issuer[0].subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .sign(key if issuer is None else issuer[1], hashes.SHA256())
    )
