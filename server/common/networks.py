"""Networks of client addresses, for logs that must not grow with a stranger's addresses."""

from ipaddress import IPv6Address, ip_address, ip_network


def network_of(address: str) -> str:
    """Return the network of an address: `"192.0.2.0/24"`, `"2001:db8::/64"`.

    One IPv6 customer has at least a /64. Returns `"an unknown network"` for an invalid address.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return "an unknown network"
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    prefix = 24 if found.version == 4 else 64
    return str(ip_network((str(found).partition("%")[0], prefix), strict=False))
