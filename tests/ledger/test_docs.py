"""The snippet in docs/state.md, with which anyone can check a ledger file, does so."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

from interlock.ledger.file import lines
from tests.ledger.entries import ledger_of

PAGE = Path(__file__).parents[2] / "docs" / "state.md"


def test_the_snippet_checks_a_file(tmp_path: Path) -> None:
    found = re.search(r"^    import hashlib.*?(?=^\S)", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert found is not None
    content = b"".join(lines(ledger_of()))
    for file, code in ((content, 0), (content.replace(b"dev@acme", b"dev@evil", 1), 1)):
        (tmp_path / "ledger.jsonl").write_bytes(file)
        program = [sys.executable, "-c", textwrap.dedent(found[0])]
        done = subprocess.run(program, cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == code, done.stderr
