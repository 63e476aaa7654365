"""Keeps a tool's requests off private networks: looked at where a socket connects to, whatever name led there."""

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

_NAT64: Final = IPv6Network("64:ff9b::/96")
"""IPv6 addresses that gateways turn into the IPv4 address at their end."""

_ISATAP: Final = 0x5EFE
"""What stands before the IPv4 address in an IPv6 address of a tunnel within a site, 200 or 0 before it."""

_NOT_PUBLIC: Final = (
    IPv4Network("168.63.129.16/32"),  # the platform of a cloud, from within its machines
    IPv4Network("192.0.0.0/24"),  # protocols' own, and another cloud's metadata
    IPv4Network("192.88.99.0/24"),  # relays from IPv6, which are no more
    IPv6Network("3fff::/20"),  # documentation, which older Pythons count as public, as they do what follows
    IPv6Network("64:ff9b:1::/48"),  # gateways to IPv4 within a site
)
"""What `ipaddress` counts as public, in some of its versions, and no tool is to reach."""

AddrInfo = tuple[Any, ...]
"""What `socket.getaddrinfo` gives of one address."""


class PrivateAddress(OSError):
    """An address that is not public: of this machine, of a private network, of a group, or of nobody."""

    WORDS: Final = "the address is private or local, and allow_private is not set"
    """Its text, which outlives the class where several addresses of one name fail."""

    def __init__(self) -> None:
        super().__init__(self.WORDS)


def sockets_to(is_allowed: Callable[[str], bool]) -> Callable[[AddrInfo], socket.socket]:
    """Makes sockets for addresses that are about to be connected to. Raises PrivateAddress for the others."""

    def make(info: AddrInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        if not is_allowed(str(address[0])):
            raise PrivateAddress
        return socket.socket(family, kind, protocol)

    return make


def is_public(address: str) -> bool:
    """Whether the internet leads there. An IPv6 address that stands for an IPv4 address is judged by that."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    meant = _meant(found) or found
    if any(meant in network for network in _NOT_PUBLIC):
        return False
    if isinstance(meant, IPv6Address) and (meant.is_site_local or _is_isatap(meant)):
        return False
    return meant.is_global and not (meant.is_multicast or meant.is_reserved)


def _meant(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    if isinstance(address, IPv4Address):
        return None
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address.ipv4_mapped or address.sixtofour


def _is_isatap(address: IPv6Address) -> bool:
    return (int(address) >> 32) & 0xFFFF == _ISATAP and (int(address) >> 48) & 0xFDFF == 0
