"""The composition root: reads the configuration, builds everything, keeps it running."""
