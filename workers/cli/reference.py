"""The reference of the command line, `docs/cli.md`, made from the commands themselves.

`python -m workers.cli.reference > docs/cli.md` writes it; a test fails when it is stale.
"""

from collections.abc import Iterator
from typing import Final, cast

import typer

from workers.cli import app
from workers.cli.output import MEANINGS, Commands

_WIDTH: Final = 100
_HEAD: Final = """\
# The command line

Made by `python -m workers.cli.reference > docs/cli.md` from the commands' own help.

Every command that prints data takes `--json`. An error is one line on standard error,
`error SOPxxx what (where); fix`; `stdops --debug COMMAND ...` adds the traceback. `lint`, `plan`,
`simulate`, `logs` and `graph FILE` open no connection.

A value is given by `--set K=text`, or `--set K:=JSON` for a number, a list or an object: text stays
text, so that a version such as `1.10` does not become a number.

## Mocks

`stdops simulate` calls no plugin. `--fail NODE` lets a node fail once, `--fail NODE:3` three times;
`--mock FILE` says in JSON or YAML what plugins answer, by node (path, id or name) or plugin code:

```yaml
Check version:                  # a node: its first call fails, every later one ends well
  - {outcome: fail, error: the registry is down}
  - {outputs: {data: {released: false}}}
job_fast_execute_script:        # a plugin: works outside for two minutes, then ends well
  - {outcome: poll, after: 120, outputs: {job_inst_id: 7}}
approve:                        # called back after a minute; without `callback` it waits for ever
  - {outcome: wait, after: 60, callback: {approved: true}}
ip_selector:                    # a lazy variable: its value
  - {outputs: {value: 10.0.0.1}}
```

What has no mock ends well at once and gives no outputs, so mock those that conditions depend on. A
timer passes in virtual time, and a pause is confirmed at once.

## Exit codes

| exit code | meaning |
|---|---|
"""


def reference() -> str:
    """Return the page, Markdown."""
    root = cast("Commands", typer.main.get_command(app))
    codes = "".join(f"| {code.value} | {meaning} |\n" for code, meaning in MEANINGS.items())
    return "".join([_HEAD, codes, *map(_section, _paths(root))])


def _paths(group: Commands, *above: str) -> Iterator[tuple[str, ...]]:
    """Yield the names of each command, a group before what is in it."""
    for name in sorted(group.list_commands(typer.Context(group))):
        yield (*above, name)
        found = group.commands[name]
        if isinstance(found, Commands):
            yield from _paths(found, *above, name)


def _section(names: tuple[str, ...]) -> str:
    from typer.testing import CliRunner

    shown = CliRunner().invoke(app, [*names, "--help"], prog_name="stdops", terminal_width=_WIDTH)
    text = "\n".join(line.rstrip() for line in shown.stdout.strip().splitlines())
    return f"\n## stdops {' '.join(names)}\n\n```text\n{text}\n```\n"


if __name__ == "__main__":
    typer.echo(reference(), nl=False)
