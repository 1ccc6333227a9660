"""The sections ``forges`` and ``repositories``: what they say, and every mistake with its line."""

import re
from pathlib import Path

import pytest

from interlock.errors import ConfigurationError
from interlock.policy.configuration import Configuration
from interlock.policy.load import load_configuration

SHA = "ab" * 20
TEXT = f"""\
people:
  ops@example.com: {{}}
chains:
  release: {{duties: [develop, review, build-review, test, deploy], separate: all}}
forges:
  hub: {{kind: github, url: "https://api.github.com", token: "env:T", webhook: "env:W", bots: [robot]}}
repositories:
  shop:
    from: https://github.com/acme/shop.git
    forge: hub
    project: acme/shop
    since: {SHA}
    chain: release
    ci: {{duty: build-review, files: ["deploy/*"]}}
    checks: {{duty: test, names: [ci], by: "github-actions[bot]"}}
    builders: {{ci: {{key: AAAA, owner: ops@example.com}}}}
    environments: {{staging: {{}}, production: {{}}}}
"""


def load(text: str) -> Configuration:
    return load_configuration(text, "interlock.yaml")


def test_what_is_written_is_read() -> None:
    found = load(TEXT)
    shop = found.repositories["shop"]
    assert (shop.branch, shop.reviews, shop.ci_duty, shop.ci_files) == ("main", "review", "build-review", ("deploy/*",))
    assert shop.checks is not None
    assert (shop.checks.duty, shop.builders["ci"].owner) == ("test", "ops@example.com")
    assert set(shop.environments) == {"staging", "production"}
    assert found.forges["hub"].bots == {"robot"}


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("https://github.com/acme/shop.git", "--upload-pack=touch", "is no origin"),
        ("https://github.com/acme/shop.git", "ext::sh -c touch", "is no origin"),
        (f"since: {SHA}", "since: abc", "is no full hash"),
        ("    chain: release", "    chain: other", "there is no chain other"),
        ("    chain: release", "    chain: release\n    branch: --help", "is no branch"),
        ("    chain: release", "    chain: release\n    branch: a..b", "is no branch"),
        ("    forge: hub", "    forge: other", "there is no forge other"),
        ("    project: acme/shop\n", "", "which project"),
        ("duty: build-review", "duty: deploy", "the first or the last duty"),
        ("duty: build-review", "duty: sleep", "there is no duty sleep"),
        ("owner: ops@example.com", "owner: nobody@example.com", "there is no person nobody@example.com"),
        ("key: AAAA", 'key: "&&"', "is not base64"),
        ("production: {}", "production: {resource: orders}", "one of resource and role"),
        ("https://api.github.com", "http://api.github.com", "is no address of an API"),
        ('webhook: "env:W"', "bots2: [x]", "has no webhook"),
        ("  hub: {", "  email: {", "email is a kind of identity already"),
    ],
)
def test_every_mistake_is_said(was: str, now: str, said: str) -> None:
    assert was in TEXT
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        load(TEXT.replace(was, now, 1))


def test_one_project_is_one_repository() -> None:
    again = TEXT + TEXT[TEXT.index("  shop:") :].replace("  shop:", "  shop2:").replace("acme/shop", "acme/shop")
    with pytest.raises(ConfigurationError, match="are one project"):
        load(again)


def test_the_documented_example_loads() -> None:
    page = (Path(__file__).parents[2] / "docs" / "gate.md").read_text()
    example = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0]
    assert load(f"vendors: {{acme: {{}}}}\n{example}").repositories["shop"].chain == "release"
