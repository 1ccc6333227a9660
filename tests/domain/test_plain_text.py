import pytest

from interlock.domain.plain_text import written_out


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Grüße, 世界 — 'a' · 100 %", "Grüße, 世界 — 'a' · 100 %"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("a\nb\tc\r", "a\\nb\\x09c\\x0d"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202edcba", "abc\\u202edcba"),
        ("line\u2028separator", "line\\u2028separator"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("", ""),
    ],
)
def test_what_acts_on_a_terminal_is_written_out(text: str, shown: str) -> None:
    assert written_out(text) == shown


def test_line_breaks_stay_where_they_are_kept() -> None:
    assert written_out("a\n\tb\x1b", keep="\n\t") == "a\n\tb\\x1b"
