"""`interlock witness`: watches ledgers of others, and cosigns what continues what it has seen."""

import hashlib
import socket
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from interlock.app.listen import read_address
from interlock.cli.ledger_source import read_file, read_key
from interlock.cli.output import JsonOption, emit, say
from interlock.errors import Failure
from interlock.identity.keys import load_or_create_secret, write_private
from interlock.ledger.notes import (
    COSIGNATURE,
    NotANote,
    SignedCheckpoint,
    SignerKey,
    VerifierKey,
    check_signed_by_any,
    new_signer,
    read_checkpoint,
    read_signer,
)
from interlock.ledger.witnessing import Witness, by_name
from interlock.web.first_words import Crowd, bounded_by
from interlock.web.witness import build_witness


def add_to(app: typer.Typer) -> None:
    app.command("witness")(witness)


def witness(
    log: Annotated[
        list[Path],
        typer.Option(
            "--log",
            help="The file with a ledger's key; may be given several times, also for one ledger: its newest key last.",
        ),
    ],
    data: Annotated[Path, typer.Option("--data", help="The folder with its own key and what it cosigned last.")],
    listen: Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where it listens.")] = "127.0.0.1:8444",
    name: Annotated[str, typer.Option("--name", help="Its name, when its key is made: of its own in the world.")] = "",
    certificate: Annotated[Path | None, typer.Option("--certificate", help="For TLS: the certificate, in PEM.")] = None,
    certificate_key: Annotated[Path | None, typer.Option("--certificate-key", help="For TLS: its key.")] = None,
    json: JsonOption = False,
) -> None:
    """Watch ledgers, on a machine that the people who run them have no hands on; stays up until Ctrl-C."""
    address = read_address(listen)
    signer = _signer(data, name)
    kept = KeptCheckpoints(data, [read_key(path) for path in log])
    app = build_witness(Witness(signer, kept.logs, kept.recall, kept.keep), str(signer.verifier))
    try:
        listener = socket.create_server((address.host, address.port))
        # Connections take it over: the body of an answer is not to wait for the receipt of its head.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise Failure(f"The witness cannot listen on {listen}: {error.strerror}.", "Choose another port.") from error
    port = listener.getsockname()[1]
    scheme = "https" if certificate else "http"
    url = f"{scheme}://{address.host}:{port}"
    emit(
        {"url": url, "key": str(signer.verifier)},
        lambda _: say(f"The witness listens on {url}.\nIts key, for `witnesses` in interlock.yaml:  {signer.verifier}"),
    )
    config = uvicorn.Config(
        app,
        http=bounded_by(Crowd()),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        ssl_certfile=certificate,
        ssl_keyfile=certificate_key,
    )
    with listener:
        uvicorn.Server(config).run(sockets=[listener])


def _signer(data: Path, name: str) -> SignerKey:
    path = data / "witness.key"
    made = name or f"{socket.gethostname() or 'interlock'}/witness"
    try:
        return read_signer(
            load_or_create_secret(path, lambda: new_signer(made, COSIGNATURE).secret_text().encode()).decode()
        )
    except (NotANote, UnicodeDecodeError) as error:
        raise Failure(f"{path} does not hold a witness's key: {error}.", "Restore it from your backup.") from error


class KeptCheckpoints:
    """What was cosigned last of each log, one file a log. A damaged one stops the witness: it would cosign anything."""

    def __init__(self, folder: Path, logs: list[VerifierKey]) -> None:
        self.logs = logs
        self._folder = folder
        self._keys = by_name(logs)
        for name in self._keys:
            self.recall(name)

    def recall(self, origin: str) -> SignedCheckpoint | None:
        path = self._path(origin)
        if not path.exists():
            return None
        try:
            found = read_checkpoint(read_file(path, "The kept checkpoint"))
            check_signed_by_any(found, self._keys[origin])
        except NotANote as error:
            raise Failure(
                f"{path} is not what this witness cosigned last: {error}.",
                "If the ledger's key was replaced, give the one before it with --log as well; else restore the file "
                "from your backup.",
            ) from error
        return found

    def keep(self, signed: SignedCheckpoint) -> None:
        write_private(self._path(signed.checkpoint.origin), str(signed.note).encode())

    def _path(self, origin: str) -> Path:
        return self._folder / f"{hashlib.sha256(origin.encode()).hexdigest()[:32]}.checkpoint"
