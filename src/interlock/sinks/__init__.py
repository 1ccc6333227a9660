"""Where events go besides the ledger: one file a kind of sink, each exporting ``SINK``."""
