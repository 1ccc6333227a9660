"""Keys, certificates, proofs of possession, passwords and one-time codes."""
