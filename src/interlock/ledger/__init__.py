"""What happened: canonical bytes, links, verification."""
