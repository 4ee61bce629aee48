"""Generated sections of a page: between two marks, printed or written in place."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Section(NamedTuple):
    """A section of a page that a tool writes; `make` returns its Markdown."""

    page: Path
    begin: str
    end: str
    make: Callable[[], str]

    def filled(self, page: str) -> str:
        """Return the page with the section between the marks replaced, or added at its end."""
        before, _, rest = page.partition(self.begin)
        _, _, after = rest.partition(self.end)
        return f"{before.rstrip()}\n\n{self.begin}{self.make()}{self.end}{after}"

    def main(self, arguments: list[str]) -> int:
        """Print the section, or with `--write` write it into the page."""
        if arguments == ["--write"]:
            page = self.page.read_text(encoding="utf-8")
            self.page.write_text(self.filled(page), encoding="utf-8")
        else:
            sys.stdout.write(f"{self.make()}\n")
        return 0
