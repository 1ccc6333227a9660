"""Python's cyclic garbage collector, kept from stopping a process for long.

A full collection looks at every object there is and stops the process meanwhile. What start-up makes (modules, models,
the compiled policy) is several hundred thousand objects that stay for good: looking at them took up to 1.8 s on a busy
machine, in which a gateway answers and hears nothing, the end of a grant neither.
"""

import gc


def settle_collector() -> None:
    """Call once a process has started: what is there now is never looked at again. It still ends by its count."""
    gc.collect()
    gc.freeze()
