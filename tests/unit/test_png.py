"""The pictures of the documents keep what they show when they are stored in fewer bytes."""

import struct
import zlib

import pytest

from tests.helpers.png import SIGNATURE, Colour, Picture, palette_png, read_png

RED, BLUE = (200, 30, 40), (20, 40, 220)
ROWS = [[RED, BLUE, BLUE], [BLUE, RED, RED], [RED, RED, BLUE]]


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(lines: list[bytes], width: int, kind: int = 2, depth: int = 8) -> bytes:
    header = struct.pack(">IIBBBBB", width, len(lines), depth, kind, 0, 0, 0)
    body = zlib.compress(b"".join(lines))
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def paeth(left: int, above: int, corner: int) -> int:
    return min((left, above, corner), key=lambda each: abs(left + above - corner - each))


def filtered(kind: int, line: bytes, above: bytes, step: int) -> bytes:
    """Write a line as an encoder does, by what its neighbours tell."""
    told = bytearray([kind])
    for at, byte in enumerate(line):
        left, up = (line[at - step] if at >= step else 0), above[at]
        corner = above[at - step] if at >= step else 0
        guess = (0, left, up, (left + up) // 2, paeth(left, up, corner))[kind]
        told.append((byte - guess) % 256)
    return bytes(told)


@pytest.mark.parametrize("kind", range(5), ids=["none", "left", "above", "mean", "paeth"])
def test_a_picture_is_read_whatever_filter_its_lines_have(kind: int) -> None:
    lines = [b"".join(bytes(colour) for colour in row) for row in ROWS]
    above = [bytes(9), *lines]

    data = png([filtered(kind, line, above[at], 3) for at, line in enumerate(lines)], 3)

    assert read_png(data) == Picture(3, ROWS)


def test_transparency_is_dropped() -> None:
    assert read_png(png([b"\0" + bytes((*RED, 255))], 1, kind=6)) == Picture(1, [[RED]])


@pytest.mark.parametrize("data", [b"GIF89a", png([b"\0\0"], 1, kind=3), png([b"\0"], 1, depth=16)])
def test_what_no_browser_writes_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="PNG"):
        read_png(data)


def test_a_palette_has_the_most_frequent_colours_and_the_rest_come_near_them() -> None:
    many: list[Colour] = [(red, green, 9) for red in range(20) for green in range(20)]
    picture = Picture(400, [many, [RED] * 400])

    data = palette_png(picture)
    header, palette = data[16:29], data[data.index(b"PLTE") + 4 :]

    assert struct.unpack(">IIBBBBB", header)[:4] == (400, 2, 8, 3)
    assert tuple(palette[:3]) == RED
    assert len(data) < 4_000


def test_the_most_frequent_colour_is_what_is_seen_around_a_text() -> None:
    assert Picture(3, ROWS).most_frequent() == RED
