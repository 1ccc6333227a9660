"""`interlock ledger verify`: of the server's ledger, of a published copy, of a file of entries, or of one proof."""

import asyncio
import json as json_text
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.progress import Progress as ProgressBar

from interlock.app.kept_recordings import KeptRecordings
from interlock.cli import output
from interlock.cli.client import Client, ServerOption, signed_in
from interlock.cli.ledger_published import followed, known_key, trusted_key
from interlock.cli.ledger_source import ServerSource, entries_of, read_file, read_key, read_older, read_witnesses
from interlock.cli.output import JsonOption, emit, say
from interlock.cli.shown import counted, harmless
from interlock.errors import Failure, Refusal
from interlock.identity.keys import write_private
from interlock.ledger.audit import BodyCheck, Progress, Sound, Trust, audit, find_signed, no_more_checks
from interlock.ledger.file import closing_line, entry_line, verify_file
from interlock.ledger.merkle import NotProved
from interlock.ledger.notes import NotANote, VerifierKey, cosigners
from interlock.ledger.proofs import FIRST_LINE, open_proof, read_proof
from interlock.ledger.tiles import Source, entry_of
from interlock.ledger.verify import Broken, Verified, Verifier
from interlock.ports.state import LedgerEntry
from interlock.store.tiles import ObjectTiles


def verify(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[SOURCE]",
            help="A published copy (a folder, or the URL of an object store), a file of entries, or a proof; "
            "without it the server's ledger.",
        ),
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="The file with the ledger's key; else the home's.")] = None,
    older: Annotated[
        Path | None, typer.Option("--from", help="A checkpoint that was kept: the ledger must begin with it.")
    ] = None,
    witness: Annotated[
        list[Path] | None, typer.Option("--witness", help="The file with a witness's key; may be given several times.")
    ] = None,
    need: Annotated[int, typer.Option("--need", min=0, help="How many of the witnesses must have cosigned.")] = 0,
    recordings: Annotated[
        str | None, typer.Option("--recordings", help="Also check every recording, in this folder or object store.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", help="Keep in this file how far it is, and go on from there.")
    ] = None,
    copy: Annotated[Path | None, typer.Option("--copy", help="Also keep the server's entries in this file.")] = None,
    head: Annotated[
        str, typer.Option("--head", help="The head that is kept elsewhere: the ledger must reach it.")
    ] = "",
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Check every entry and everything it hangs on, on this machine; says which entry does not hold."""
    _check_head(head)
    given = _given(
        older=older, witness=witness, need=need, recordings=recordings, resume=resume, copy=copy, head=head, key=key
    )
    kept = None if recordings is None else KeptRecordings(recordings, whole=resume is None or not resume.exists())
    check = no_more_checks if kept is None else kept.check
    if source is None:
        _refuse(given & {"--resume"}, "the server's ledger, which is read whole")
        with signed_in(server) as client:
            trust = _trust(read_key(key) if key else known_key(client), witness, need)
            return _tell(*_verify_server(client, trust, older, check, copy, head), kept, trust.log)
    path = Path(source)
    if "://" not in source and path.is_file():
        if read_file(path, "The file").startswith(FIRST_LINE.encode()):
            _refuse(given - {"--key", "--witness", "--need"}, "a proof of one entry")
            return _verify_proof(path, _trust(trusted_key(key), witness, need))
        _refuse(given, "a file of entries, which nobody signed: compare its head with one that you kept")
        return _tell(verify_file(path), None)
    if "://" not in source and not path.is_dir():
        raise Failure(f"There is nothing at {source}.", "Name a folder, a file, or the URL of an object store.")
    _refuse(given & {"--copy", "--head"}, "a published copy: name a checkpoint that you kept with --from")
    trust = _trust(trusted_key(key), witness, need)
    return _tell(None, _audit(ObjectTiles(source), trust, older, check, resume), kept, trust.log)


def _given(**options: object) -> set[str]:
    names = {"older": "from"}
    return {f"--{names.get(name, name)}" for name, value in options.items() if value}


def _refuse(options: set[str], what: str) -> None:
    """What would not be looked at is not passed over: who reads *holds* would take it for looked at."""
    if options:
        raise typer.BadParameter(f"{', '.join(sorted(options))}: not with {what}")


def _check_head(head: str) -> None:
    if head and (len(head) != 64 or set(head) - set("0123456789abcdef")):
        raise typer.BadParameter(
            "--head is the head that `interlock ledger verify` printed: 64 digits and letters a to f"
        )


def _trust(key: VerifierKey, witnesses: list[Path] | None, need: int) -> Trust:
    keys = read_witnesses(witnesses or (), key)
    if need > len(keys):
        raise Refusal(
            "too-few-witnesses",
            f"--need asks for {counted(need, 'witness', 'witnesses')}, and --witness names {len(keys)}.",
            "Name each with --witness FILE.",
        )
    return Trust(key, keys, need)


def _audit(
    source: Source, trust: Trust, older: Path | None, check: BodyCheck, resume: Path | None = None
) -> Sound | Broken:
    current = asyncio.run(find_signed(source, trust))
    if isinstance(current, Broken):
        return current
    keys = current.chain.keys or (current.key,)
    since = read_older(older, keys) if older else None
    after = _read_progress(resume, keys)
    with _progress(resume, keys[-1]) as advance:
        return asyncio.run(audit(source, trust, since=since, after=after, check=check, advance=advance))


@contextmanager
def _progress(resume: Path | None, key: VerifierKey) -> Iterator[Callable[[Progress, int], None]]:
    """A bar on stderr when it is a terminal; the file to go on from, now and then."""
    console = output.aside()
    with ProgressBar(console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("Verifying", total=None)

        def advance(progress: Progress, size: int) -> None:
            bar.update(task, total=size, completed=progress.size)
            if resume is not None and progress.size % (256 * 256) == 0:
                found = {"log": str(key), "size": progress.size, "roots": [root.hex() for root in progress.roots]}
                write_private(resume, json_text.dumps(found).encode())

        yield advance


def _read_progress(path: Path | None, keys: Sequence[VerifierKey]) -> Progress:
    if path is None or not path.exists():
        return Progress()
    try:
        found = json_text.loads(read_file(path, "The file"))
        progress = Progress(int(found["size"]), tuple(bytes.fromhex(root) for root in found["roots"]))
        progress.frontier()
        kept = str(found["log"])
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(f"{path} does not say how far a verification came.", "Remove it, to begin anew.") from error
    if kept in map(str, keys):
        return progress
    if kept.startswith(f"{keys[0].name}+"):
        raise Refusal(
            "other-history",
            f"{path} is of a verification of this ledger under a newer key ({kept.split('+')[1]}), which the history "
            "that is there does not have: it is another one, or somebody signs with a key that was replaced.",
            "Ask those who run the ledger, and its witnesses, what became of that key.",
        )
    raise Refusal("other-log", f"{path} is of another ledger's verification.", "Name another file with --resume.")


def _verify_proof(path: Path, trust: Trust) -> int:
    key = trust.log
    try:
        proved = read_proof(read_file(path, "The proof"), key)
        seen = cosigners(proved.signed, trust.witnesses)
    except NotProved as error:
        return _proves_nothing(f"{path} does not prove anything: {error}.{_other_key(path, key)}")
    except NotANote as error:
        return _proves_nothing(f"{path} does not prove anything: the checkpoint does not hold: {error}.")
    if len(seen) < trust.need:
        return _proves_nothing(
            f"The checkpoint in {path} is cosigned by {len(seen)} of the witnesses; {trust.need} are needed. A proof "
            "that is made a few seconds after the entry has more."
        )
    body = proved.body.decode()
    size = proved.signed.checkpoint.size
    lines = [f"Entry {proved.position} is in the ledger {key.name} of {counted(size, 'entry', 'entries')}:", body]
    lines += [f"cosigned by {name}" for name in sorted(seen)]
    document = {"holds": True, "entry": proved.position, "size": size, "body": json_text.loads(body)}
    emit({**document, "witnessed": seen}, lambda _: say("\n".join(lines)))
    return 0


def _proves_nothing(reason: str) -> int:
    emit({"holds": False, "entry": 0, "reason": reason}, lambda _: output.note(reason))
    return 1


def _other_key(path: Path, key: VerifierKey) -> str:
    """A hint, when a key of the same ledger signed, and not this one."""
    try:
        note = open_proof(read_file(path, "The proof")).signed.note
    except NotProved:
        return ""
    if not any(line.startswith(f"— {key.name} ") for line in note.signatures):
        return ""
    return (
        " Another key of this ledger may have signed it: a key that was replaced signs nothing new. Verify the ledger "
        "itself, which says which key follows yours, or ask for the proof anew."
    )


def _verify_server(
    client: Client, trust: Trust, older: Path | None, check: BodyCheck, copy: Path | None, head: str
) -> tuple[Verified | Broken, Sound | Broken]:
    """The database's chain and the published tree, side by side: each entry must be the same in both."""
    with _copying(copy) as keep:
        database = Beside(entries_of(client), keep, check, head)
        sound = _audit(ServerSource(client), trust, older, database.compare)
        chain = database.finish()
    return chain, sound


class Beside:
    """The ``entries`` that a database has, taken one by one beside the published ones."""

    def __init__(
        self, entries: Iterator[LedgerEntry], keep: Callable[[bytes], None], check: BodyCheck, head: str
    ) -> None:
        self._entries = entries
        self._verifier = Verifier()
        self._keep = keep
        self._check = check
        self._head = head
        self._reached = not head

    async def compare(self, position: int, body: bytes) -> str:
        entry = next(self._entries, None)
        if entry is None:
            return f"Entry {position} was published and is missing from the database: the ledger went backwards."
        self._add(entry)
        if entry_of(entry.body) != entry_of(body) or entry.position != position:
            return f"Entry {position} in the database is not the one that was published."
        return await self._check(position, body)

    def finish(self) -> Verified | Broken:
        for entry in self._entries:
            if self._add(entry):
                break
        result = self._verifier.result
        if isinstance(result, Broken):
            return result
        self._keep(closing_line(result.count, result.head))
        if not self._reached:
            return Broken(
                result.count + 1, f"The ledger does not reach the head {self._head}: its end was cut off or rewritten."
            )
        return result

    def _add(self, entry: LedgerEntry) -> bool:
        broken = self._verifier.add(entry)
        if broken is None:
            self._reached = self._reached or entry.link == self._head
            self._keep(entry_line(entry))
        return broken is not None


@contextmanager
def _copying(copy: Path | None) -> Iterator[Callable[[bytes], None]]:
    if copy is None:
        yield lambda _line: None
        return
    try:
        file = _open_private(copy)
    except OSError as error:
        raise Failure(f"{copy} cannot be written: {error.strerror}.", "Name another file with --copy.") from error
    with file:

        def keep(line: bytes) -> None:
            file.write(line)

        yield keep


def _open_private(path: Path) -> BinaryIO:
    """The ledger names people and holds statements: a copy is for its owner's eyes."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")


def _tell(
    chain: Verified | Broken | None,
    tree: Sound | Broken | None,
    kept: KeptRecordings | None = None,
    believed: VerifierKey | None = None,
) -> int:
    broken = min(
        (found for found in (tree, chain) if isinstance(found, Broken)), key=lambda b: b.position, default=None
    )
    # What is missing may have been deleted as it should be, which only the ledger to its end says.
    broken = broken or (None if kept is None else kept.finish())
    if broken is not None:
        emit({"holds": False, "entry": broken.position, "reason": broken.reason}, lambda _: output.note(broken.reason))
        return 1
    document: dict[str, object] = {"holds": True}
    lines: list[str] = []
    if isinstance(chain, Verified):
        document |= {"count": chain.count, "head": chain.head}
        lines += [f"The ledger holds: {counted(chain.count, 'entry', 'entries')}.", f"head {chain.head}"]
    if isinstance(tree, Sound):
        found = tree.checkpoint
        document |= {"origin": found.origin, "size": found.size, "root": found.root.hex(), "witnessed": tree.witnessed}
        published = f"{counted(found.size, 'entry', 'entries')}, signed by {found.origin}"
        lines.append(f"Published: {published}." if lines else f"The ledger holds: {published}.")
        lines.append(f"root {found.root.hex()}")
        lines += [f"cosigned by {name}" for name in sorted(tree.witnessed)]
        document |= {"key": str(tree.key), "keys": [str(key) for key in tree.chain.keys or (tree.key,)]}
        if believed is not None and believed != tree.key:
            lines.append(followed(tree.chain, believed, tree.key))
    if kept is not None:
        document |= {"recordings": kept.count, "segments": kept.segments, "deleted": kept.deleted}
        lines.append(
            f"Recordings: {counted(kept.count, 'closed session', 'closed sessions')}, "
            f"{counted(kept.segments, 'segment', 'segments')}."
        )
        lines += [harmless(sentence) for sentence in kept.deleted]
    emit(document, lambda _: say("\n".join(lines)))
    return 0
