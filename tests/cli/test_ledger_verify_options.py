"""`interlock ledger verify`: what is asked for is looked at, or refused; nobody is blamed for a slip of who types."""

import asyncio
from collections.abc import Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from interlock.cli.main import outcome
from interlock.ledger.file import closing_line
from interlock.ledger.notes import COSIGNATURE, SignerKey, new_signer, read_checkpoint
from interlock.ledger.proofs import write_proof
from interlock.ledger.tiles import CHECKPOINT
from tests.ledger.logs import body, log_of


@dataclass(frozen=True)
class Published:
    """``log`` is a ledger that ``w.vkey`` cosigned; ``proof`` a proof from it, ``bare`` one of before that."""

    folder: Path
    witness: SignerKey

    def verify(self, *words: str) -> tuple[int, str]:
        said = StringIO()
        with chdir(self.folder), redirect_stdout(said), redirect_stderr(said):
            code = outcome(["ledger", "verify", *words])
        return code, " ".join(said.getvalue().split())


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    return asyncio.run(_publish(tmp_path_factory.mktemp("published")))


async def _publish(folder: Path) -> Published:
    log, witness, other = log_of(5), new_signer("w.example/1", COSIGNATURE), new_signer("w.example/2", COSIGNATURE)
    bare = read_checkpoint(log.objects[CHECKPOINT])
    (folder / "bare").write_text(await write_proof(log, bare, 2, body(2)))
    log.objects[CHECKPOINT] += witness.sign(bare.checkpoint.written(), seconds=7).encode()
    (folder / "proof").write_text(await write_proof(log, read_checkpoint(log.objects[CHECKPOINT]), 2, body(2)))
    for path, content in log.objects.items():
        (folder / "log" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "log" / path).write_bytes(content)
    for name, key in (("log.vkey", log.signer), ("w.vkey", witness), ("same.vkey", witness), ("w2.vkey", other)):
        (folder / name).write_text(str(key.verifier))
    (folder / "entries.jsonl").write_bytes(closing_line(0, "0" * 64))
    return Published(folder, witness)


def test_a_proof_is_asked_for_its_witnesses_too(published: Published) -> None:
    asked = ("--key", "log.vkey", "--witness", "w.vkey", "--need", "1")
    code, told = published.verify("proof", *asked)
    assert (code, "cosigned by w.example/1" in told) == (0, True), told
    code, told = published.verify("bare", *asked)
    assert (code, "cosigned by 0 of the witnesses; 1 are needed" in told) == (1, True), told
    code, told = published.verify("proof", "--key", "log.vkey", "--witness", "w2.vkey", "--need", "1")
    assert (code, "cosigned by 0 of the witnesses" in told) == (1, True), told
    assert published.verify("bare", "--key", "log.vkey")[0] == 0


@pytest.mark.parametrize("source", ["log", "proof"])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--witness", "log.vkey", "--need", "1"), "log.vkey holds a ledger's key, and no ledger is its own witness"),
        (("--witness", "w.vkey", "--witness", "same.vkey"), "hold the same key: it is one witness"),
        (("--witness", "w.vkey", "--need", "2"), "--need asks for 2 witnesses, and --witness names 1"),
        (("--need", "1"), "--need asks for 1 witness, and --witness names 0"),
        (("--witness", "entries.jsonl"), "does not hold a witness's key"),
    ],
)
def test_who_is_no_witness_does_not_count(published: Published, source: str, words: Sequence[str], said: str) -> None:
    code, told = published.verify(source, "--key", "log.vkey", *words)
    assert (code, said in told) == (1, True), told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("log", "--key", "log.vkey", "--head", "a" * 64), "--head: not with a published copy"),
        (("log", "--key", "log.vkey", "--copy", "x"), "--copy: not with a published copy"),
        (("proof", "--key", "log.vkey", "--from", "log/checkpoint"), "--from: not with a proof of one entry"),
        (("proof", "--key", "log.vkey", "--recordings", "log"), "--recordings: not with a proof of one entry"),
        (("entries.jsonl", "--key", "log.vkey"), "--key: not with a file of entries"),
        (("entries.jsonl", "--head", "a" * 64), "--head: not with a file of entries"),
        (("--resume", "x"), "--resume: not with the server's ledger"),
        (("--head", "zz"), "--head is the head that `interlock ledger verify` printed"),
    ],
)
def test_what_would_not_be_looked_at_is_refused(published: Published, words: Sequence[str], said: str) -> None:
    code, told = published.verify(*words)
    assert (code, said in told) == (2, True), told
