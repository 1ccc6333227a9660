"""The section ``detections``: what it means, and each mistake with its line."""

from datetime import time, timedelta

import pytest

from interlock.domain.detections import (
    BeforeEnd,
    BrokenGlass,
    Detection,
    FirstUse,
    OffHours,
    Refusals,
    Repeated,
    Response,
    SamePair,
    Volume,
)
from interlock.errors import ConfigurationError
from interlock.policy.load import load_configuration

WRITTEN = """
detections:
  first: {detect: first-use, do: notify}
  nights: {detect: off-hours, do: hold, hours: "08:00-18:30", days: [mon, sat], zone: Europe/Berlin}
  volume: {detect: volume, do: cut, times: 5, least: 1000}
  refused: {detect: refusals, do: notify, count: 4, within: 5m}
  pair: {detect: same-pair, do: notify, count: 3}
  last: {detect: before-end, do: notify, within: 7d}
  glass: {detect: break-glass, do: notify}
  own: {detect: event, do: notify, on: session.cut, where: {by: lead}, count: 2, within: 1h}
"""


def test_every_rule_is_read() -> None:
    configuration = load_configuration(WRITTEN, "interlock.yaml")
    assert configuration.detections == {
        "first": Detection("first", FirstUse()),
        "nights": Detection(
            "nights", OffHours(time(8), time(18, 30), frozenset({0, 5}), "Europe/Berlin"), Response.HOLD
        ),
        "volume": Detection("volume", Volume(5, 1000), Response.CUT),
        "refused": Detection("refused", Refusals(4, timedelta(minutes=5))),
        "pair": Detection("pair", SamePair(3)),
        "last": Detection("last", BeforeEnd(timedelta(days=7))),
        "glass": Detection("glass", BrokenGlass()),
        "own": Detection("own", Repeated("session.cut", {"by": "lead"}, 2, timedelta(hours=1))),
    }


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{detect: volum, do: cut}", "looks for volum, which is not known; did you mean volume?"),
        ("{detect: volume}", "has no do; write do: notify, hold or cut"),
        ("{do: cut}", "has no detect"),
        ("{detect: volume, do: shout}", "does shout; write do: notify, hold or cut"),
        ("{detect: first-use, do: cut, count: 3}", "has count, which first-use does not take"),
        ("{detect: volume, do: cut, within: 5m}", "which volume does not take; it takes times, least"),
        ("{detect: off-hours, do: cut, hours: 9-5}", 'write them as "07:00-19:00"'),
        ('{detect: off-hours, do: cut, hours: "07:00-07:00"}', 'write them as "07:00-19:00"'),
        ("{detect: off-hours, do: cut, days: [monday]}", "monday is no day; write some of mon"),
        ("{detect: off-hours, do: cut, zone: Mars/Base}", "knows no time zone Mars/Base"),
        ("{detect: same-pair, do: cut, count: 1}", "write a number from 2"),
        ("{detect: event, do: cut}", "has no on"),
        ("{detect: event, do: cut, on: session.cutt}", "there is no event session.cutt; did you mean session.cut?"),
        ("{detect: event, do: cut, on: detection.fired}", "looks for itself"),
        ("{detect: event, do: cut, on: session.cut, where: [a]}", "where of the detection it is not a mapping"),
    ],
)
def test_a_mistake_is_named_with_its_line(entry: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(f"detections:\n  it: {entry}\n", "interlock.yaml")
    assert any(mistake.startswith("interlock.yaml:2: ") and said in mistake for mistake in caught.value.mistakes), (
        caught.value.mistakes
    )
