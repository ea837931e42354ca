"""Which addresses an input may be fetched from. Pure functions of addresses *after* resolution."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

METADATA_SERVICES = tuple(
    ipaddress.ip_network(text)
    for text in (
        "169.254.0.0/16",  # link-local: AWS, Google, Azure and most others at .169.254
        "fe80::/10",
        "fd00:ec2::254/128",  # AWS over IPv6
        "fd20:ce::254/128",  # Google over IPv6
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure's wire server, a public address
        "192.0.0.192/32",  # Oracle
    )
)
"""Addresses of metadata services, which hand out a machine's credentials. Refused even for open hosts."""

GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
"""The range from which IANA allocates global unicast addresses."""

NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        # IANA's special-purpose registries (RFC 6890 and its updates), listed here because Python versions disagree.
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "2001::/23",  # Teredo, ORCHID, benchmarking
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address inside
        "3fff::/20",
    )
)

OPEN_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "::1/128")
)
"""Private addresses that an open host may resolve to, besides public ones."""


def is_public(address: IPAddress) -> bool:
    """Whether an address is on the public internet.

    IPv6 forms that carry an IPv4 address (mapped, NAT64, 6to4, Teredo) do not count as public: they would be another way
    to write a private one.
    """
    if isinstance(address, ipaddress.IPv6Address) and address not in GLOBAL_IPV6:
        return False
    return not _within(address, NOT_PUBLIC) and not _within(address, METADATA_SERVICES)


def is_open(address: IPAddress) -> bool:
    """Whether an open host may have this address."""
    if _within(address, METADATA_SERVICES):
        return False
    return is_public(address) or _within(address, OPEN_PRIVATE)


def parse_address(text: str) -> IPAddress:
    """Parse an address as a resolver returns it.

    Raises:
        ValueError: For anything else, including IPv6 zones (``fe80::1%eth0``), which only link-local addresses have.
    """
    if "%" in text:
        raise ValueError("an address with a zone is link-local")
    return ipaddress.ip_address(text)


def _within(address: IPAddress, networks: Iterable[IPNetwork]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
