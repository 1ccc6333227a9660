"""The section notify: how people are told outside of the pages."""

import pytest

from interlock.domain.notices import NoticeKind
from interlock.errors import ConfigurationError
from interlock.policy.configuration import Notifier
from interlock.policy.diff import describe_changes
from interlock.policy.load import load_configuration

_REST = "resources: {}\n"


def test_mail_and_webhooks_are_read() -> None:
    text = (
        _REST
        + "notify:\n"
        + "  mail: {kind: smtp, to: 'smtps://us@mail.example', secret: 'env:MAIL', from: us@example.com}\n"
        + "  chat: {kind: webhook, to: 'https://chat.example/in', secret: 'env:CHAT', on: [broken, alarm]}\n"
    )
    configuration = load_configuration(text, "interlock.yaml")
    assert describe_changes(load_configuration(_REST, "interlock.yaml"), configuration) == (
        "The notifier chat is new.",
        "The notifier mail is new.",
    )
    assert configuration.notify == {
        "mail": Notifier("mail", "smtp", "smtps://us@mail.example", "env:MAIL", sender="us@example.com"),
        "chat": Notifier(
            "chat",
            "webhook",
            "https://chat.example/in",
            "env:CHAT",
            on=frozenset({NoticeKind.BROKEN, NoticeKind.ALARM}),
        ),
    }


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{to: 'https://chat.example', secret: 'env:CHAT'}", "has no kind"),
        ("{kind: webhook, secret: 'env:CHAT'}", "has no to"),
        ("{kind: webhook, to: 'https://chat.example'}", "has no secret"),
        ("{kind: webhook, to: 'https://chat.example', secret: hunter2}", "does not say where the secret is kept"),
        ("{kind: webhook, to: 'https://chat.example', secret: 'env:CHAT', from: a@b.example}", "from of the notifier"),
        ("{kind: smtp, to: 'smtps://mail.example'}", "has no from"),
        ("{kind: smtp, to: 'smtps://mail.example', from: a@b.example, on: [askd]}", "there is no notice askd"),
        ("{kind: smtp, to: 'smtps://mail.example', from: a@b.example, on: []}", "is an empty list"),
        ("{kind: smtp, to: 'smtps://mail.example', from: a@b.example, of: [asked]}", "unknown key of"),
    ],
)
def test_mistakes_are_named(entry: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        load_configuration(f"{_REST}notify: {{one: {entry}}}\n", "interlock.yaml")
