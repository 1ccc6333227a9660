"""Where secrets are kept. One file a vault, each exporting VAULT."""
