"""Who decides about a change of the policy, or closes a review, sees in the browser what it is."""

from datetime import UTC, datetime
from types import SimpleNamespace

from interlock.domain.grants import Request, RequestKind
from interlock.domain.people import Person
from interlock.services.list_requests import RequestView
from interlock.services.review_request import Review
from interlock.web.console.page import _environment
from interlock.web.console.text_changes import Change

NOW = datetime(2026, 11, 1, tzinfo=UTC)
_DETAIL = """{% from "_request.html" import detail with context %}
{{ detail(visitor, view, review, content, True, now, False, changes) }}"""


def _shown(kind: RequestKind, content: dict[str, object]) -> str:
    digest, never = "d" * 64, datetime(9999, 12, 31, tzinfo=UTC)
    request = Request("r-1", kind, "chief", "orders", "writer", content, digest, (), "it burns", "key", NOW, never)
    return (
        _environment()
        .from_string(_DETAIL)
        .render(
            visitor=SimpleNamespace(token="t", name="deputy", is_employee=True),
            view=RequestView(request, (), 1, ("deputy",), may_decide=True),
            review=Review(Person("chief"), (), None, (), False, False),
            content=content,
            now=NOW,
            changes=[("interlock.yaml", [Change("plus", "+  <i>writer</i>: {}")])],
        )
    )


def test_a_change_of_the_policy_is_shown_in_sentences_and_written_out() -> None:
    text = _shown(RequestKind.POLICY, {"changes": ["The role <b>writer</b> changed."], "base": "aa", "policy": "bb"})
    assert "proposes a change of the policy" in text
    assert "<li>The role &lt;b&gt;writer&lt;/b&gt; changed.</li>" in text
    assert '<span class="plus">+  &lt;i&gt;writer&lt;/i&gt;: {}</span>' in text


def test_a_review_says_that_nobody_approved_it() -> None:
    text = _shown(RequestKind.REVIEW, {"lends": {"allow": ["read"], "hold": [], "fence_rows": None}})
    assert "broke the glass: <strong>writer</strong>" in text
    assert "taken without anybody's approval" in text
