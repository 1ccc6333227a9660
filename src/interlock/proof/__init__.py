"""Could anyone ever: the smallest team that could do a thing, with its story or with a certificate that none can."""
