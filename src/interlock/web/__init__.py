"""The control plane's API."""
