"""An entry put into a configuration: it is there, everything else is as it was written."""

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from interlock.policy.insert import NotInsertable, insert_entry, write_entry

ENTRY = {"kind": "postgres", "address": "/run/pg:5432", "labels": {"environment": "production"}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "people: {}",
        "# first\nresources:\n",
        "resources: {}\npeople: {}\n",
        "resources: # what there is\n  # the old one\n  stock: {kind: postgres, address: 'h:1'}\npeople: {}\n",
        "resources:\n    stock:\n        kind: postgres\n        address: h:1\nvendors: {acme: {}}",
        "resources: {stock: {kind: postgres, address: 'h:1'}} # one\n",
        "resources: ~\n",
        "resources: { stock: {kind: postgres,\n  address: 'h:1'} }\n",
    ],
)
def test_it_is_there_and_the_rest_stays(text: str) -> None:
    before = yaml.safe_load(text) or {}
    after = yaml.safe_load(insert_entry(text, "resources", "orders", ENTRY))
    assert after["resources"].pop("orders") == ENTRY
    assert {key: value or {} for key, value in after.items()} == {
        "resources": {},
        **{k: v or {} for k, v in before.items()},
    }
    for comment in ("# first", "# the old one", "# one", "# what there is"):
        assert (comment in text) == (comment in insert_entry(text, "resources", "orders", ENTRY))


@example("\u00dbR1\u0085\u00fe)", "")
@example("a", "\u2028b")
@given(st.text(min_size=1), st.text())
def test_no_name_or_value_becomes_structure(name: str, value: str) -> None:
    for text in ("resources: {}\n", "resources:\n  a: {}\n", ""):
        try:
            made = insert_entry(text, "resources", name, {"address": value})
        except NotInsertable:
            continue
        found = yaml.safe_load(made)
        assert set(found) == {"resources"}
        assert found["resources"][name] == {"address": value}
        assert len(found["resources"]) <= 2


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(NotInsertable):
        insert_entry("resources:\n  orders: {}\n", "resources", "orders", ENTRY)


def test_an_entry_alone() -> None:
    assert yaml.safe_load(write_entry("resources", "orders", ENTRY)) == {"resources": {"orders": ENTRY}}
