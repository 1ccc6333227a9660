"""Letters that go one after another, until the other side asks to be left alone."""

from collections.abc import Awaitable, Callable, Sequence

from interlock.domain.notices import Later, Letter, Outcome


async def send_each(letters: Sequence[Letter], send: Callable[[Letter], Awaitable[Outcome]]) -> list[Outcome]:
    """What became of each. What comes after the one that was too much is not sent, and waits with it."""
    outcomes: list[Outcome] = []
    for letter in letters:
        outcome = await send(letter)
        outcomes.append(outcome)
        if isinstance(outcome, Later) and outcome.wait_s:
            return outcomes + [outcome] * (len(letters) - len(outcomes))
    return outcomes
