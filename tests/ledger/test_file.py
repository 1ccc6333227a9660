from pathlib import Path

import pytest

from interlock.errors import Failure
from interlock.ledger.file import lines, verify_file, verify_lines
from interlock.ledger.links import GENESIS
from interlock.ledger.verify import Broken, Verified
from tests.ledger.entries import ledger_of


def _written(folder: Path) -> Path:
    path = folder / "ledger.jsonl"
    path.write_bytes(b"".join(lines(ledger_of())))
    return path


def test_a_file_holds(tmp_path: Path) -> None:
    assert verify_file(_written(tmp_path)) == Verified(4, ledger_of()[-1].link)


def test_the_file_of_an_empty_ledger_holds() -> None:
    assert verify_lines(lines([])) == Verified(0, GENESIS.hex())


def test_one_entry_a_line_and_a_closing_line() -> None:
    written = list(lines(ledger_of()))
    assert len(written) == 5
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in written)
    assert written[-1] == b'{"count":4,"head":"%s"}\n' % ledger_of()[-1].link.encode()


def test_every_changed_byte_names_its_entry(tmp_path: Path) -> None:
    """Every bit of every byte of the file, one at a time."""
    content = _written(tmp_path).read_bytes()
    entry = 1
    for place, byte in enumerate(content):
        for bit in range(8):
            changed = content[:place] + bytes([byte ^ 1 << bit]) + content[place + 1 :]
            result = verify_lines(_split(changed))
            assert isinstance(result, Broken), f"byte {place} ({byte:#x}), bit {bit}"
            assert result.position == entry, f"byte {place} ({byte:#x}), bit {bit}: {result}"
        entry += byte == ord("\n")


def test_every_removed_byte_is_noticed(tmp_path: Path) -> None:
    content = _written(tmp_path).read_bytes()
    for place in range(len(content)):
        assert isinstance(verify_lines(_split(content[:place] + content[place + 1 :])), Broken)


def test_a_file_that_was_cut_off_says_so(tmp_path: Path) -> None:
    content = _written(tmp_path).read_bytes()
    for length in range(len(content)):
        assert isinstance(verify_lines(_split(content[:length])), Broken)
    whole = _split(content)
    result = verify_lines(whole[:3])
    assert isinstance(result, Broken)
    assert result.position == 4
    assert "cut off" in result.reason


def test_nothing_may_follow_the_closing_line() -> None:
    written = list(lines(ledger_of()))
    for more in (b"\n", written[0], written[-1]):
        assert isinstance(verify_lines([*written, more]), Broken)


def test_lines_that_are_no_entries() -> None:
    for line in (
        b"[]\n",
        b"1\n",
        b"{}\n",
        b'{"body":{},"link":1}\n',
        b'{"body":1,"link":"x"}\n',
        b'{"count":true,"head":""}\n',
    ):
        result = verify_lines([line])
        assert isinstance(result, Broken)
        assert result.position == 1


def test_swapped_and_repeated_lines_are_named() -> None:
    written = list(lines(ledger_of()))
    result = verify_lines([written[0], written[2], written[1], written[3], written[4]])
    assert isinstance(result, Broken)
    assert result.position == 2
    result = verify_lines([written[0], written[0], *written[1:]])
    assert isinstance(result, Broken)
    assert result.position == 2


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="cannot be read: No such file"):
        verify_file(tmp_path / "missing.jsonl")


def _split(content: bytes) -> list[bytes]:
    """Lines as files have them: at newlines and nowhere else."""
    return [part + b"\n" for part in content.split(b"\n")[:-1]] + ([last] if (last := content.split(b"\n")[-1]) else [])
