"""A ready-made example: `up` with a second database to protect, and people who are enrolled and signed in."""
