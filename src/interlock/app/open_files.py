"""How many files a process may have open."""

import resource


def allow_many_files() -> None:
    """A session is two open files, a call is one: take as many as this account may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
