"""The stages of a session, in order. One is only ever left downwards.

::

    STRANGER   connected; nobody has vouched for it: bounded in number, bytes and seconds
    ADMITTING  it said who it is
    ADMITTED   it rests on grants, which are watched from here on; the upstream is being reached
    OPEN       statements
    LEAVING    an orderly end: what was written still goes out
    CUT        the last words are on their way, everything else is closed
    OVER
"""

from enum import IntEnum


class Stage(IntEnum):
    STRANGER = 1
    ADMITTING = 2
    ADMITTED = 3
    OPEN = 4
    LEAVING = 5
    CUT = 6
    OVER = 7
