"""Repositories as they are, read with git's own plumbing from bare mirrors of ours."""
