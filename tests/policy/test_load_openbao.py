"""The section openbao: what is read, and what is refused."""

import pytest

from interlock.errors import ConfigurationError
from interlock.policy.configuration import OpenBao
from interlock.policy.load import load_configuration


def test_what_is_written_is_read() -> None:
    read = load_configuration(
        "openbao: {address: 'https://bao.example:8200', token: 'env:BAO', ca: /ca.pem, recordings: master}\n", "i.yaml"
    )
    assert read.openbao == OpenBao("https://bao.example:8200", "env:BAO", "transit", "/ca.pem", "", "master")
    assert load_configuration("vendors: {}\n", "i.yaml").openbao is None


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{token: 'env:B', ledger: a}", "address"),
        ("{address: 'https://b', ledger: a}", "token"),
        ("{address: 'https://b', token: 'env:B'}", "openbao is used for nothing"),
        ("{address: 'http://bao.example', token: 'env:B', ledger: a}", "http is for this machine alone"),
        ("{address: 'ftp://b', token: 'env:B', ledger: a}", "no address of a server"),
        ("{address: 'https://b', token: hvs.secret, ledger: a}", "where the secret is kept"),
        ("{address: 'https://b', token: 'env:B', ledger: '../sys/seal'}", "ledger of openbao"),
        ("{address: 'https://b', token: 'env:B', mount: 'a/b', ledger: a}", "mount of openbao"),
        ("{address: 'https://b', token: 'env:B', ledger: a, seal: b}", "seal"),
    ],
)
def test_a_mistake_is_said(section: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(f"openbao: {section}\n", "i.yaml")
    assert said in str(caught.value)
    assert "hvs.secret" not in str(caught.value)
