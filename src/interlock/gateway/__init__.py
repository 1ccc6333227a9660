"""The gateway: listeners, workers, sessions, recorder."""
