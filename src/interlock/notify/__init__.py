"""How people are told outside of the pages: one file a kind of notifier, each exporting ``NOTIFIER``."""
