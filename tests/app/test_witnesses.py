"""Cosigning with a real witness: `interlock witness` in a process of its own."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from interlock.app.witnesses import Cosigning, addresses_of
from interlock.ledger.audit import Sound, Trust, audit
from interlock.ledger.notes import SignedCheckpoint, VerifierKey, cosigners, read_verifier
from interlock.ledger.tiles import CHECKPOINT
from interlock.policy.configuration import Witnesses, WitnessSource
from tests.ledger.logs import MemoryLog, body, log_of
from tests.support.stack import INTERLOCK


@contextmanager
def witness_of(log: VerifierKey, folder: Path, port: int = 0, *newer: VerifierKey) -> Iterator[tuple[str, VerifierKey]]:
    """A witness of ``log`` (and by its ``newer`` keys), killed at the end: its address and key."""
    words = [INTERLOCK, "witness", "--data", str(folder / "witness")]
    for number, key in enumerate((log, *newer)):
        (folder / f"log{number}.vkey").write_text(str(key))
        words += ["--log", str(folder / f"log{number}.vkey")]
    process = subprocess.Popen(
        [*words, "--listen", f"127.0.0.1:{port}", "--name", "w.example/1", "--json"], stdout=subprocess.PIPE, text=True
    )
    try:
        said = ""
        while process.stdout is not None and not said.endswith("}\n") and (line := process.stdout.readline()):
            said += line
        found = json.loads(said)
        yield found["url"], read_verifier(found["key"])
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


async def cosigned(log: MemoryLog, url: str, key: VerifierKey, signed: SignedCheckpoint) -> SignedCheckpoint:
    asking = Cosigning(lambda: addresses_of(Witnesses((WitnessSource(url, str(key)),), 1)), log)
    try:
        return await asking(signed)
    finally:
        await asking.close()


async def test_a_witness_cosigns_remembers_through_a_kill_and_refuses_another_history(tmp_path: Path) -> None:
    log = log_of(300)
    with witness_of(log.signer.verifier, tmp_path) as (url, key):
        both = await cosigned(log, url, key, log.publish([]))
        assert list(cosigners(both, [key])) == ["w.example/1"]
        log.objects[CHECKPOINT] = str(both.note).encode()
        assert isinstance(await audit(log, Trust(log.signer.verifier, (key,), need=1)), Sound)
    with witness_of(log.signer.verifier, tmp_path) as (url, again):
        assert again == key
        rewritten = MemoryLog(log.signer)
        signed = rewritten.publish([body(n, "evil") for n in range(1, 400)])
        assert cosigners(await cosigned(rewritten, url, key, signed), [key]) == {}
        shorter = log_of(200, log.signer)
        assert cosigners(await cosigned(shorter, url, key, shorter.publish([])), [key]) == {}
        assert len(cosigners(await cosigned(log, url, key, log.publish([body(301)])), [key])) == 1
    # away, it stops nobody
    assert cosigners(await cosigned(log, url, key, log.publish([])), [key]) == {}
