"""What is longer than a page: what is left out is said where somebody decides, and all of it is to be had."""

import pytest

from interlock.web.console.shown import lines, sql
from interlock.web.console.text_changes import changes_of
from tests.web.console.client import enter, http_of
from tests.web.console.premises import DEV, LEAD, OPS, SECOND, Premises

_NOT_ALL = "This is not all of it."


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("DELETE FROM orders WHERE id = 1 /*" + "x" * 200_000 + "*/; DROP TABLE items", ()),
        ("SELECT " + "1," * 100_000 + "1; DROP TABLE items", ()),
        ("/*" * 100_000 + "DROP TABLE items", ()),
        ("<" * 200_000 + "\u202e" * 20_000 + "DROP TABLE items", ()),
        ("DELETE FROM orders WHERE id = $1", ("é" * 500_000 + "DROP TABLE items",)),
        ("DELETE FROM orders WHERE id = $1", tuple(str(one) for one in range(5000))),
    ],
)
async def test_who_approves_is_told_what_the_page_leaves_out(
    premises: Premises, text: str, values: tuple[str, ...]
) -> None:
    grant = await premises.lend(DEV, "writer", OPS, LEAD)
    held = await premises.hold(await premises.connect(grant, "s-1234567890123"), DEV, text, parameters=values)
    async with http_of(premises) as http:
        second = await enter(premises, http, SECOND)
        for path in ("/decide", f"/decide/{held}", f"/requests/{held}"):
            shown = await second.get(path)
            assert shown.text.index(_NOT_ALL) < shown.text.index("exactly as it was sent"), "before anything else"
            assert f'href="/requests/{held}/statement"' in shown.text
            assert len(shown.content) < 115_000, "with what it loads no more than 150 KB"
        whole = await second.get(f"/requests/{held}/statement")
        assert whole.json() == {"text": text, "parameters": list(values)}
        assert whole.headers["content-disposition"] == f'attachment; filename="{held}.json"'
        assert whole.text.isascii(), "nothing in it acts on a terminal"


async def test_what_is_shown_whole_says_nothing_of_it(premises: Premises) -> None:
    grant = await premises.lend(DEV, "writer", OPS, LEAD)
    text = "DELETE FROM orders WHERE id IN (" + "4711, " * 1500 + "1)"
    held = await premises.hold(
        await premises.connect(grant, "s-1234567890123"), DEV, text, parameters=("1", None, "x" * 2000)
    )
    async with http_of(premises) as http:
        shown = await (await enter(premises, http, SECOND)).get(f"/decide/{held}")
    assert _NOT_ALL not in shown.text
    assert "not shown" not in shown.text
    assert "1 line, 9,034 characters: scroll to its end." in shown.text


def test_texts_and_changes_say_what_they_leave_out() -> None:
    assert lines("a" * 60_000) == "a" * 60_000
    assert "1,000 of 61,000 characters are not shown here." in lines("a" * 61_000)
    assert "characters are not shown here." in lines("\x1b" * 61_000)
    assert sql("SELECT 1") == '<span class="sql-key">SELECT</span> <span class="sql-number">1</span>'
    before, after = ("\n".join(f"{word} {n}" for n in range(900)) for word in ("old", "new"))
    *_, last = changes_of(before, after)
    assert (last.kind, last.line) == ("left-out", "801 of 1,801 lines are not shown here.")
    assert "characters of this line are not shown here" in changes_of("a", "b" * 5000)[2].line
    assert [one.kind for one in changes_of("a\nb", "a\nc")] == ["place", "same", "minus", "plus"]
