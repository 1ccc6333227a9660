"""Without TLS only over loopback: tried from every side of a machine with a network of its own."""

import json
import subprocess
import sys
from pathlib import Path

from interlock.gateway.door import judge_clear_text


def test_off_unless_told_and_then_for_loopback_alone() -> None:
    assert judge_clear_text(allowed=True, local=True) is None
    sentences = {
        (allowed, local): refused.sentence
        for allowed, local in ((False, True), (False, False), (True, False))
        if (refused := judge_clear_text(allowed=allowed, local=local)) is not None
    }
    assert len(sentences) == 3
    assert "only inside TLS" in sentences[False, True]
    assert "the gateway's own machine" in sentences[True, False]


def test_who_is_not_on_loopback_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.clear_text_apart", str(tmp_path)]
    apart = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", *command], capture_output=True, text=True, check=False
    )
    assert apart.returncode == 0, apart.stderr
    said = json.loads(apart.stdout)
    assert {where: answer[:1] for where, answer in said.items()} == {
        "loopback": "R",
        "loopback 6": "R",
        "own address": "E",
        "loopback to own address": "E",
        "own address to loopback": "E",
        "another machine": "E",
        "another machine as loopback": "",
    }
    assert "Connect with sslmode=require" in said["another machine"]
