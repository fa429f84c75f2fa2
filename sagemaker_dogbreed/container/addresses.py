"""Which hosts a URL may lead to: spellings read, addresses told public from internal.

The networks are listed here, not taken from `ipaddress`, whose idea of a private address changes
between Python releases. https://www.iana.org/assignments/iana-ipv4-special-registry and
https://www.iana.org/assignments/iana-ipv6-special-registry
"""

from __future__ import annotations

import ipaddress
import re
import socket

_CLOSED_IPV4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's internal service behind a public address (Azure)
        "169.254.0.0/16",  # link-local: instance metadata, container credentials
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# Of IPv6, only global unicast is open. That leaves out ::1, fc00::/7 (fd00:ec2::254, say), fe80::/10,
# ff00::/8 and IPv4 addresses in IPv6 clothes (::ffff:a.b.c.d, ::a.b.c.d, 64:ff9b:1::/48).
_OPEN_IPV6 = ipaddress.IPv6Network("2000::/3")
_CLOSED_IPV6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which wraps any IPv4 address
        "3fff::/20",  # documentation
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # how an IPv6-only network reaches IPv4

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the open internet, and of nothing closer by."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed in _NAT64:
            parsed = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        else:
            return parsed in _OPEN_IPV6 and not any(parsed in network for network in _CLOSED_IPV6)
    return not any(parsed in network for network in _CLOSED_IPV4)


def is_address(host: str) -> bool:
    """Tell whether a host, as `normal_host` returns it, is an IP address and not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def normal_host(host: str) -> str:
    """Return the one spelling of a host: a lower-case name without final dot, or an IP address.

    Numbers are read as the C library would read them, so that no spelling goes unchecked.

    >>> [normal_host(host) for host in ("Example.COM.", "0x7f.1", "2130706433", "[0:0::1]")]
    ['example.com', '127.0.0.1', '127.0.0.1', '::1']

    Raises:
        ValueError: The text is neither a host name in ASCII nor an IP address.
    """
    if host.startswith("[") and host.endswith("]"):
        address = ipaddress.IPv6Address(host[1:-1])
        if address.scope_id is not None:
            raise ValueError("an IPv6 address with a zone is not a host")
        return str(address)
    name = host.lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("not a host name; one in another script is written in its xn-- form")
    if not _NUMBER.fullmatch(labels[-1]):
        return name
    try:
        return str(ipaddress.IPv4Address(socket.inet_aton(name)))
    except OSError:
        raise ValueError("not an IPv4 address") from None
