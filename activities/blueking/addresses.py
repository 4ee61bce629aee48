"""Hosts as people write them: addresses and ids found in a text. Pure.

Source: bk-sops's extraction of addresses from text. What is found is taken out before the next kind
is looked for, in the order of `read_hosts`.
"""

import ipaddress
import re
from collections.abc import Iterable
from typing import Final, NamedTuple, TypeVar

T = TypeVar("T")

_V4: Final = r"(?<!\d)(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?!\d)"
_V6: Final = r"[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}(?:(?::|\.)\d{1,3}(?:\.\d{1,3}){2,3})?"
_CLOUD_V6: Final = re.compile(r"(\d+):\[([0-9a-fA-F:.]+)\]")
_PLAIN_V6: Final = re.compile(rf"(?<![\w:.]){_V6}(?![\w:.])")
_CLOUD_V4: Final = re.compile(rf"(\d+):({_V4})")
_PLAIN_V4: Final = re.compile(_V4)
_HOST_ID: Final = re.compile(r"\d+")
_TRIPLE: Final = re.compile(rf"([^|\n]+)\|([^|\n]+)\|({_V4})")


class At(NamedTuple):
    """An address in a cloud area, whose id stays text as it was written."""

    cloud: str
    ip: str


class HostText(NamedTuple):
    """What a text names: addresses of four kinds and ids of hosts, each once, in order."""

    cloud_v6: tuple[At, ...] = ()
    v6: tuple[str, ...] = ()
    cloud_v4: tuple[At, ...] = ()
    v4: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses as people read them, those with a cloud area as `area:address`."""
        areas = (*self.cloud_v6, *self.cloud_v4)
        return (*(f"{at.cloud}:{at.ip}" for at in areas), *self.v6, *self.v4)


class Triple(NamedTuple):
    """A host as `set|module|address`."""

    set_name: str
    module_name: str
    ip: str


def read_hosts(text: str) -> HostText:
    """Return the hosts that `text` names; IPv6 addresses in full form."""
    cloud_v6, text = _taken_pairs(_CLOUD_V6, text)
    v6, text = _taken(_PLAIN_V6, text)
    cloud_v4, text = _taken_pairs(_CLOUD_V4, text)
    v4, text = _taken(_PLAIN_V4, text)
    ids = dict.fromkeys(int(found) for found in _HOST_ID.findall(text))
    return HostText(
        cloud_v6=_once(At(at.cloud, exploded(at.ip)) for at in cloud_v6),
        v6=_once(exploded(ip) for ip in v6),
        cloud_v4=cloud_v4,
        v4=v4,
        ids=tuple(ids),
    )


def read_addresses(text: str) -> tuple[str, ...]:
    """Return the IPv4 addresses in `text`, each once, cloud areas left out."""
    return _once(_PLAIN_V4.findall(text))


def every_address(text: str) -> tuple[str, ...]:
    """Return the IPv4 addresses in `text`, as often as they are named."""
    return tuple(_PLAIN_V4.findall(text))


def read_triples(text: str) -> tuple[Triple, ...]:
    """Return the `set|module|address` triples in `text`."""
    found = (Triple(a.strip(), b.strip(), ip) for a, b, ip in _TRIPLE.findall(text))
    return tuple(dict.fromkeys(found))


def exploded(ip: str) -> str:
    """Return an IPv6 address in full form; what is none stays as it is."""
    try:
        return ipaddress.IPv6Address(ip).exploded
    except ValueError:
        return ip


def _taken(pattern: re.Pattern[str], text: str) -> tuple[tuple[str, ...], str]:
    """Return what matches, and the text without it."""
    return _once(pattern.findall(text)), pattern.sub(" ", text)


def _taken_pairs(pattern: re.Pattern[str], text: str) -> tuple[tuple[At, ...], str]:
    return _once(At(*pair) for pair in pattern.findall(text)), pattern.sub(" ", text)


def _once(found: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(found))
