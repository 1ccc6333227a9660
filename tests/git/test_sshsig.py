"""SSH signatures as git and ssh-keygen make them."""

from pathlib import Path

import pytest

from interlock.domain.delivery import Signature
from interlock.git.commits import read_commit
from interlock.git.sshsig import BadSignature, verify
from tests.support.repositories import Origin, git


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_signed_commit_names_its_key_and_a_changed_one_does_not(tmp_path: Path, kind: str) -> None:
    origin = Origin.create(tmp_path / "shop.git")
    origin.key("dev", kind)
    sha = origin.commit({"a": "1"}, author="dev@acme.example", signed_by="dev", message="one\n\ntwo\n")
    raw = git(origin.folder, "cat-file", "commit", sha).encode() + b"\n"
    found = read_commit(sha, raw)
    assert (found.signature, found.signer) == (Signature.GOOD, origin.fingerprint("dev"))
    for was, now in ((b"dev@acme.example", b"lead@example.com"), (b"two", b"too"), (b"author A", b"author  A")):
        changed = raw.replace(was, now, 1)
        assert changed != raw
        assert read_commit(sha, changed).signature is Signature.BAD


def test_what_is_no_signature_of_git_is_none(tmp_path: Path) -> None:
    origin = Origin.create(tmp_path / "shop.git")
    sha = origin.commit({"a": "1"}, author="dev@acme.example")
    plain = git(origin.folder, "cat-file", "commit", sha).encode()
    assert read_commit(sha, plain).signature is Signature.NONE
    pgp = plain.replace(b"\n\n", b"\ngpgsig -----BEGIN PGP SIGNATURE-----\n x\n -----END PGP SIGNATURE-----\n\n", 1)
    assert read_commit(sha, pgp).signature is Signature.OTHER
    for text in ("", "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----", "x" * 1000):
        with pytest.raises(BadSignature):
            verify(text, b"content")
