"""Which addresses of the network the whole world means the same machine by."""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: Address) -> bool:
    """Whether the whole world means the same machine by it. An IPv6 form of an IPv4 address counts as that one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return is_public(inner)
        if address in _TRANSLATED or address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""NAT64 (RFC 6052): behind it may be any IPv4 address, a private one too."""
