"""The active policy as a worker uses it: understood, compiled, and kept as long as its digest stays."""

from collections.abc import Mapping
from dataclasses import dataclass

from interlock.domain.snapshot import PolicyText
from interlock.policy.configuration import Configuration
from interlock.policy.decide import Decider
from interlock.policy.load import load_configuration
from interlock.ports.protocol import ProtocolAdapter


@dataclass(frozen=True, slots=True)
class Rules:
    """``digest`` is that of the policy text from which both were made."""

    digest: str
    configuration: Configuration
    decider: Decider


def build_rules(text: PolicyText, adapters: Mapping[str, ProtocolAdapter]) -> Rules:
    """Understand and compile ``text``: tens of milliseconds, so not on the loop's thread.

    Raises ConfigurationError for a policy that this gateway cannot read, such as one that names a protocol it lacks.
    """
    checks = {name: adapter.check_settings for name, adapter in adapters.items()}
    configuration = load_configuration(text.yaml, "interlock.yaml", cedar=text.cedar, check_settings=checks)
    return Rules(text.digest, configuration, Decider(configuration))
