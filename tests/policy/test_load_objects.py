"""The section objects: what is read, and what is refused."""

import pytest

from interlock.errors import ConfigurationError
from interlock.policy.configuration import Objects
from interlock.policy.load import load_configuration


def test_what_is_written_is_read() -> None:
    written = (
        "{ledger: 's3://b/ledger', recordings: 'gs://c', endpoint: 'https://s3', region: r, credentials: 'file:/k'}"
    )
    read = load_configuration(f"objects: {written}\n", "i.yaml")
    assert read.objects == Objects("s3://b/ledger", "gs://c", "https://s3", "r", "/k")
    azure = "{ledger: 'az://box/ledger', recordings: 'az://box/recordings', endpoint: 'https://a.blob.example'}"
    assert load_configuration(f"objects: {azure}\n", "i.yaml").objects.endpoint == "https://a.blob.example"
    assert load_configuration("vendors: {}\n", "i.yaml").objects == Objects()


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{region: r}", "objects keeps nothing"),
        ("{ledger: '/folder'}", "ledger of objects is no place"),
        ("{ledger: 'http://b/log'}", "ledger of objects is no place"),
        ("{ledger: 's3://'}", "ledger of objects is no place"),
        ("{ledger: 's3://hidden4711:x@b/log'}", "carries more than a place"),
        ("{ledger: 'az://b/log?sig=hidden4711'}", "carries more than a place"),
        ("{ledger: 's3://b/x', recordings: 's3://b/x/'}", "one place"),
        ("{ledger: 's3://b', endpoint: 'http://store.example:9000'}", "clear text"),
        ("{ledger: 's3://b', endpoint: 'https://u:hidden4711@s'}", "no address of a server"),
        ("{ledger: 'gs://b', endpoint: 'https://s'}", "endpoint is of s3:// and az://"),
        ("{ledger: 's3://b', recordings: 'az://c', endpoint: 'https://s'}", "that of two clouds"),
        ("{ledger: 'az://hidden4711@account.blob.core.windows.net/log'}", "carries more than a place"),
        ("{ledger: 's3://b', credentials: hidden4711}", "where they are kept"),
        ("{ledger: 's3://b', secret: x}", "secret"),
    ],
)
def test_a_mistake_is_said(section: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(f"objects: {section}\n", "i.yaml")
    assert said in str(caught.value)
    assert "hidden4711" not in str(caught.value)
