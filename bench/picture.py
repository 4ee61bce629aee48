"""Draws the nodes a second of every row as an SVG: one line a shape, one dot a contestant."""

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from bench.results import RECORDED, Row

SPACE: Final = "http://www.w3.org/2000/svg"
FONT: Final = 'font-family="sans-serif" font-size="12"'
WIDTH: Final = 900
LEFT: Final = 210
RIGHT: Final = 30
TOP: Final = 70
STEP: Final = 34
COLOURS: Final = ("#1f6feb", "#d97706", "#2da44e", "#8250df", "#cf222e", "#57606a", "#bf3989")


def picture(rows: Sequence[Row]) -> str:
    """Return the picture; the scale is logarithmic, the rows of waiting runs are left out."""
    shown = [row for row in rows if row.key != "waiting"]
    titles = list(dict.fromkeys(row.title for row in shown))
    shown += [row for row in RECORDED if row.title in titles]
    series = list(dict.fromkeys(map(series_of, shown)))
    colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(series)}
    height = TOP + STEP * (len(titles) + 1)
    scale = Scale([row.nodes_s for row in shown])
    parts = [
        f'<svg xmlns="{SPACE}" viewBox="0 0 {WIDTH} {height}" {FONT}>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *_legend(colours),
        *_grid(scale, height),
        *(_text(8, _y(n) + 4, title) for n, title in enumerate(titles)),
        *(_dot(scale, row, titles, colours) for row in shown),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


class Scale:
    """Where a rate stands: full powers of ten at both ends."""

    def __init__(self, rates: Sequence[float]) -> None:
        logs = [math.log10(max(rate, 0.1)) for rate in rates] or [0.0]
        self.first = math.floor(min(logs))
        self.last = max(math.ceil(max(logs)), self.first + 1)

    def x(self, rate: float) -> float:
        """Return the place of a rate, in pixels from the left."""
        part = (math.log10(max(rate, 0.1)) - self.first) / (self.last - self.first)
        return LEFT + part * (WIDTH - LEFT - RIGHT)


def series_of(row: Row) -> str:
    """Return what a dot stands for."""
    names = {"activity": "", "quick": ", quick plugins", "inline": ", no activity"}
    recorded = ", recorded elsewhere" if row in RECORDED else ""
    return f"{row.contestant}{names[row.kind]}{recorded}"


def _legend(colours: dict[str, str]) -> Iterator[str]:
    yield _text(8, 18, "nodes a second, more is better; logarithmic")
    x = 8.0
    for name, colour in colours.items():
        yield f'<circle cx="{x + 5:.0f}" cy="38" r="5" fill="{colour}"/>'
        yield _text(x + 14, 42, name)
        x += 30 + 6.2 * len(name)


def _grid(scale: Scale, height: int) -> Iterator[str]:
    for power in range(scale.first, scale.last + 1):
        x = scale.x(10.0**power)
        yield f'<path d="M{x:.1f} {TOP - 12}V{height - 24}" stroke="#d0d7de"/>'
        yield _text(x, height - 8, f"{10.0**power:,g}", "middle")


def _dot(scale: Scale, row: Row, titles: Sequence[str], colours: dict[str, str]) -> str:
    name = series_of(row)
    where = f'cx="{scale.x(row.nodes_s):.1f}" cy="{_y(titles.index(row.title))}"'
    told = escape(f"{name}: {row.nodes_s:,.0f}")
    return f'<circle {where} r="6" fill="{colours[name]}"><title>{told}</title></circle>'


def _y(number: int) -> int:
    return TOP + STEP * number


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.0f}" text-anchor="{anchor}">{escape(text)}</text>'
