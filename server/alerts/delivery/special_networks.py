"""The networks that a webhook may not reach.

From IANA's registries of special-purpose addresses for IPv4 and IPv6 (RFC 6890), with the
deprecated networks that they no longer list. The list is explicit, because Python's `is_global`
differs between its versions and is true for some addresses that embed a private one.
"""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Local networks, which the setting `WEBHOOK_PRIVATE` opens.
PRIVATE = [
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",  # private (RFC 1918)
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",  # shared by a provider's customers (RFC 6598)
        "127.0.0.0/8",  # loopback
        "::1/128",
        "fc00::/7",  # unique local (RFC 4193)
    )
]
# Link-local addresses are not among them: cloud servers give out their credentials there.
SPECIAL = [
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "169.254.0.0/16",  # link-local
        "192.0.0.0/24",  # protocol assignments (RFC 6890)
        "192.0.2.0/24",  # documentation (RFC 5737)
        "192.31.196.0/24",  # AS112 (RFC 7535)
        "192.52.193.0/24",  # AMT (RFC 7450)
        "192.88.99.0/24",  # 6to4 relays, deprecated (RFC 7526)
        "192.175.48.0/24",  # AS112 (RFC 7534)
        "198.18.0.0/15",  # benchmarking (RFC 2544)
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        # Everything outside 2000::/3, the only global unicast addresses: unspecified, IPv4-mapped
        # and -compatible, NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), discard-only, segment routing,
        # link-local, site-local (deprecated), multicast, and what is reserved.
        "::/3",
        "4000::/2",
        "8000::/1",
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID, AMT, AS112
        "2001:db8::/32",  # documentation (RFC 3849)
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3ffe::/16",  # 6bone, deprecated (RFC 3701)
        "3fff::/20",  # documentation (RFC 9637)
    )
]


def is_private(address: Address) -> bool:
    """Return whether the address is in a local network."""
    return any(address in network for network in PRIVATE)


def is_special(address: Address) -> bool:
    """Return whether the address is neither public nor in a local network."""
    return not is_private(address) and any(address in network for network in SPECIAL)
