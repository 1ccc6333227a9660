"""Statements that are let through as one of the same description was before. Part of :mod:`interlock.ports.protocol`.

``Outlet.ask`` answers for every statement there is. Nearly all of a busy session's are reads that were found to be what
others were a moment ago, are allowed by the same decision, and end before the next one comes. For those a machine asks
``follow``, which makes nothing that has to be thrown away again: no statement, no verdict, no outcome.
"""

from interlock.ports.statement import Described


class Precedents:
    """What a machine is given when its session is established. As it stands here there is never a precedent.

    At most one statement is under way that followed one. It is ended by ``ended``, or by ``Outlet.finish`` as any
    other.
    """

    def follow(
        self,
        number: int,
        described: Described,
        payload: bytes,
        start: int,
        end: int,
        parameters: tuple[bytes | None, ...],
        formats: tuple[int, ...],
    ) -> bool:
        """Whether statement ``number`` may go upstream now, without an obligation. Its record is written then.

        Its text is ASCII, from ``start`` to ``end`` in ``payload``. False: nothing happened, and ``Outlet.ask`` has to
        be asked.
        """
        return False

    def ended(self, rows: int, changed: int, size_bytes: int, payload: bytes, start: int, end: int) -> None:
        """The statement that followed ended well; its tag stands in ``payload`` from ``start`` to ``end``."""
