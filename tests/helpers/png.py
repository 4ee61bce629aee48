"""PNG pictures as a browser takes them: read their colours, and store them in fewer bytes.

Only what Chromium writes is read: 8 bits a channel, RGB or RGBA, not interlaced.
"""

import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
COLOURS: Final = 256
_CHANNELS: Final = {2: 3, 6: 4}

Colour = tuple[int, int, int]


class Picture(NamedTuple):
    """Rows of colours, from top to bottom."""

    width: int
    rows: list[list[Colour]]

    def most_frequent(self) -> Colour:
        """Return the colour of most of the picture."""
        return Counter(colour for row in self.rows for colour in row).most_common(1)[0][0]


def read_png(data: bytes) -> Picture:
    """Read a picture; transparency is dropped.

    Raises:
        ValueError: it is no PNG of the kind that a browser writes.
    """
    if not data.startswith(SIGNATURE):
        raise ValueError("no PNG")
    chunks = list(_chunks(data))
    width, height, depth, kind, *_, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
    if depth != 8 or kind not in _CHANNELS or interlaced:
        raise ValueError(f"a PNG of another kind: {depth} bits, colour type {kind}")
    raw = zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT"))
    lines = _unfiltered(raw, width * _CHANNELS[kind], height, _CHANNELS[kind])
    return Picture(width, [_colours(line, _CHANNELS[kind]) for line in lines])


def palette_png(picture: Picture) -> bytes:
    """Return the picture as a PNG of at most 256 colours, each pixel in one near its own."""
    counted = Counter(colour for row in picture.rows for colour in row)
    palette = [colour for colour, _ in counted.most_common(COLOURS)]
    place = {colour: number for number, colour in enumerate(palette)}
    near: dict[Colour, int] = {}
    for colour in counted:
        if colour not in place:
            rough = _rough(colour)
            if rough not in near:
                near[rough] = place[min(palette, key=lambda known: _distance(known, rough))]
            place[colour] = near[rough]
    lines = b"".join(b"\0" + bytes(place[colour] for colour in row) for row in picture.rows)
    header = struct.pack(">IIBBBBB", picture.width, len(picture.rows), 8, 3, 0, 0, 0)
    parts = [
        (b"IHDR", header),
        (b"PLTE", b"".join(bytes(colour) for colour in palette)),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    ]
    return SIGNATURE + b"".join(_chunk(name, body) for name, body in parts)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _unfiltered(raw: bytes, length: int, height: int, step: int) -> Iterator[bytearray]:
    """Undo the filter of each line, which tells a byte by its neighbours."""
    above = bytearray(length)
    for row in range(height):
        start = row * (length + 1)
        line = bytearray(raw[start + 1 : start + 1 + length])
        _unfilter(raw[start], line, above, step)
        yield line
        above = line


def _unfilter(kind: int, line: bytearray, above: bytearray, step: int) -> None:
    if kind == 0:
        return
    for at, byte in enumerate(line):
        left = line[at - step] if at >= step else 0
        corner = above[at - step] if at >= step else 0
        match kind:
            case 1:
                told = left
            case 2:
                told = above[at]
            case 3:
                told = (left + above[at]) // 2
            case _:
                told = _paeth(left, above[at], corner)
        line[at] = (byte + told) & 255


def _paeth(left: int, above: int, corner: int) -> int:
    """Return the neighbour that is nearest to where the three of them point."""
    point = left + above - corner
    near = (abs(point - left), abs(point - above), abs(point - corner))
    return (left, above, corner)[near.index(min(near))]


def _colours(line: bytearray, step: int) -> list[Colour]:
    return list(zip(line[0::step], line[1::step], line[2::step], strict=True))


def _rough(colour: Colour) -> Colour:
    """Return the middle of the 32 x 32 x 32 boxes of colours into which this one falls."""
    red, green, blue = (part & 0xF8 | 4 for part in colour)
    return red, green, blue


def _distance(one: Colour, other: Colour) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))
