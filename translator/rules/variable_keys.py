"""SOP204."""

import re
from collections.abc import Iterator
from typing import Final

from stdops import Diagnostic
from translator.rules.context import Context, rule

_KEY: Final = re.compile(r"(?!_env_|_system\.)[a-zA-Z0-9_]+\n?")


@rule("SOP204", "variable key is not allowed")
def variable_keys(context: Context) -> Iterator[Diagnostic]:
    """A key consists of ASCII letters, digits and underscores, and does not begin with `_env_`.

    Why: bk-sops refuses to store other keys, and a reference to one is never found. Names that
        begin with `_env_` or `_system.` belong to the system.
    Fails: the key `${my-ip}`
    Fix: Rename the variable, here and wherever it is used.
    """
    for key, each in context.tree.variables.items():
        if not _KEY.fullmatch(key):
            severity = "error" if context.is_web and each.origin != "system" else "warning"
            what = f"variable key {key!r} is not allowed"
            fix = "use letters, digits and underscores, not beginning with '_env_'"
            yield context.report("SOP204", severity, each.at, what, fix)
