"""Where requests may go: rules of the installation over addresses, hosts and ports; pure.

An address is judged after its name was looked up, so that every spelling of it (decimal, octal,
hex, another alphabet) and every name for it is judged alike. An IPv6 address that carries an IPv4
address is judged by both.
"""

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, NamedTuple, Self, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

EVERYTHING: Final = "*"
"""As a denied host: nothing may be reached but what is allowed."""

DENIED_NETWORKS: Final[tuple[Network, ...]] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this host, by another name
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, with most clouds' metadata
        "100.100.100.200/32",  # metadata of Alibaba Cloud
        "168.63.129.16/32",  # the host agent of Azure
        "192.0.0.0/24",  # protocol assignments, with Oracle's metadata
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "::/128",
        "::1/128",
        "fe80::/10",
        "fec0::/10",  # site-local, long withdrawn
        "fd00:ec2::254/128",  # metadata of AWS
        "fd20:ce::254/128",  # metadata of Google Cloud
        "ff00::/8",
    )
)
"""What is refused unless an address rule allows it; private networks are not among them."""

DENIED_PORTS: Final = frozenset(
    {21, 22, 23, 25, 53, 110, 119, 143, 389, 465, 587, 636, 993, 995, 6379, 6667, 11211}
)
"""Ports of services that may take the text of a request for commands of their own."""

_WITH_PORT: Final = re.compile(r"(?P<host>\[[^\]]+\]|[^:/]+):(?P<port>\d{1,5})")
_HOST: Final = re.compile(r"[\w*?.-]+", re.ASCII)
_TRANSLATED: Final = tuple(map(IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96")))
"""Networks whose addresses are IPv4 addresses to a translator: NAT64, and SIIT."""
_COMPATIBLE: Final = IPv6Network("::/96")
_ISATAP: Final = frozenset({0x0000_5EFE, 0x0200_5EFE})
_LOWEST_32: Final = 0xFFFF_FFFF
_MOST_PORT: Final = 65535


class Rule(NamedTuple):
    """One entry of a list: a network or a pattern of hosts, on one port or on all."""

    network: Network | None
    host: str
    port: int | None

    def names(self, host: str, port: int) -> bool:
        """Say whether the rule is about a host by its name."""
        return bool(self.host) and self._is_on(port) and fnmatchcase(host, self.host)

    def holds(self, address: Address, port: int) -> bool:
        """Say whether the rule is about an address."""
        return self.network is not None and self._is_on(port) and address in self.network

    def _is_on(self, port: int) -> bool:
        return self.port in (None, port)


def read_rule(text: str) -> Rule:
    """Return the rule in `text`: `10.0.0.0/8`, `[::1]:8080`, `*.corp.example`, `api.example:8443`.

    Raises:
        ValueError: it is none of them.
    """
    plain = text.strip().rstrip(".").lower()
    network = _network(plain)
    if network is not None:
        return Rule(network, "", None)
    found = _WITH_PORT.fullmatch(plain)
    host, port = (found["host"], int(found["port"])) if found else (plain, None)
    network = _network(host.strip("[]"))
    if port is not None and not 0 < port <= _MOST_PORT:
        raise ValueError(f"{text!r} has no port between 1 and {_MOST_PORT}")
    if network is None and not _HOST.fullmatch(host):
        raise ValueError(
            f"{text!r} is no network such as 10.0.0.0/8, and no host such as *.corp.example"
        )
    return Rule(network, "" if network else host, port)


class Destinations(NamedTuple):
    """Where requests may go.

    A denied network or host is refused, whatever else is said; `*` alone refuses all that is not
    allowed. What is denied by default (`DENIED_NETWORKS`) is allowed by an address only: whoever
    answers for a name may let it mean any address.
    """

    allow: tuple[Rule, ...] = ()
    deny: tuple[Rule, ...] = ()

    @classmethod
    def read(cls, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> Self:
        """Return what two lists of rules say.

        Raises:
            ValueError: an entry is no rule.
        """
        return cls(tuple(map(read_rule, allow)), tuple(map(read_rule, deny)))

    def host_refusal(self, host: str, port: int) -> str:
        """Say why a host may not be reached, whatever its addresses are; "" where it may."""
        denied = any(rule.names(_plain(host), port) for rule in self._denied())
        return "it is denied by STDOPS_HTTP_DENY" if denied else ""

    def refusal(self, host: str, port: int, address: Address) -> str:
        """Say why a host may not be reached at one of its addresses; "" where it may."""
        faces = tuple(_faces(address))
        if any(rule.holds(face, port) for rule in self._denied() for face in faces):
            return "it is denied by STDOPS_HTTP_DENY"
        opened = [face for face in faces if any(rule.holds(face, port) for rule in self.allow)]
        if any(face not in opened and _is_closed(face) for face in faces):
            return "addresses of the worker itself, of its link and of its cloud are denied"
        fitting = [rule for rule in self.allow if _fits(rule, host, port, faces)]
        if not fitting and any(rule.host == EVERYTHING for rule in self.deny):
            return "only what STDOPS_HTTP_ALLOW names may be reached"
        if port in DENIED_PORTS and all(rule.port is None for rule in fitting):
            return f"port {port} is that of another protocol, and only allowed by its number"
        return ""

    def _denied(self) -> Iterator[Rule]:
        return (rule for rule in self.deny if rule.host != EVERYTHING)


def _is_closed(address: Address) -> bool:
    return any(address in network for network in DENIED_NETWORKS)


def _fits(rule: Rule, host: str, port: int, faces: Iterable[Address]) -> bool:
    return rule.names(_plain(host), port) or any(rule.holds(face, port) for face in faces)


def _network(text: str) -> Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _faces(address: Address) -> Iterator[Address]:
    """Yield an address, without its zone, and the IPv4 addresses that it carries."""
    if isinstance(address, IPv4Address):
        yield address
        return
    bare = IPv6Address(int(address))
    yield bare
    low = int(bare) & _LOWEST_32
    carried = [bare.ipv4_mapped, bare.sixtofour, *(bare.teredo or ())]
    is_isatap = (int(bare) >> 32) & _LOWEST_32 in _ISATAP
    if is_isatap or any(bare in net for net in _TRANSLATED) or (bare in _COMPATIBLE and low > 1):
        carried.append(IPv4Address(low))
    yield from (each for each in carried if each is not None)


def read_address(text: str) -> Address:
    """Return an address as the system gives it, with or without a zone."""
    return ip_address(text)
