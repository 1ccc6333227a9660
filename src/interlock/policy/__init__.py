"""May they: the configuration as written, its compilation to Cedar, and the decision."""
