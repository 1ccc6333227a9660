"""Whether people are told what waits for them: what `interlock doctor` says of the notifiers."""

from collections.abc import Mapping
from datetime import UTC, datetime

from interlock.app.data_folder import DataFolder
from interlock.app.finding import Finding, bad, doubtful, good
from interlock.app.installation import kept_state_address
from interlock.domain.plain_text import written_out
from interlock.errors import InterlockError
from interlock.policy.configuration import PAGE, Notifier
from interlock.store.outbox import PostgresOutbox


async def check_notifiers(folder: DataFolder, sources: Mapping[str, Notifier]) -> list[Finding]:
    """One finding for each notifier of the configuration."""
    try:
        outbox = PostgresOutbox(kept_state_address(folder).url)
        try:
            troubles = {one.notifier: one for one in await outbox.troubles(datetime.now(UTC))}
        finally:
            await outbox.close()
    except InterlockError as error:
        return [bad("notify", error.sentence, error.remedy)] if sources else []
    findings = []
    for name in sorted({*sources, PAGE} & {*sources, *troubles}):
        trouble = troubles.get(name)
        if trouble is None:
            findings.append(good("notify", f"Nothing waits that the notifier {name} could not tell."))
            continue
        why = written_out(trouble.why)
        if trouble.waiting:
            sentence = (
                f"{trouble.waiting} notices could not be told by {name} yet, the oldest since "
                f"{trouble.since:%Y-%m-%d %H:%M} UTC: {why}"
            )
            findings.append(bad("notify", sentence, "They are tried again by themselves, for two days."))
        else:
            sentence = f"{trouble.lost} notices were given up by {name} within a day: {why}"
            findings.append(doubtful("notify", sentence, "The log says which: interlock.notify."))
    return findings
