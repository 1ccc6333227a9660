"""Fixtures that any test may ask for."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.databases"]

# No property is about time: on a machine that does other things as well a deadline fails the test of a sound program.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
