"""The command that shows the variables of a run."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from workers.cli.app import app
from workers.cli.options import JsonFlag, PrintTemporal, RunId, epilog
from workers.cli.output import Code, await_now, plain, print_json, remark, short, show_table, table

if TYPE_CHECKING:
    from workflows.machine.view import VariableView


@app.command(
    epilog=epilog(
        "stdops variables release-1f2e3d4c",
        "stdops variables release-1f2e3d4c --json",
        codes=[Code.REFUSED, Code.UNREACHABLE],
    )
)
def variables(
    name: RunId, *, as_json: JsonFlag = False, print_temporal: PrintTemporal = False
) -> None:
    """Show the variables of a run: their values, where those come from, who wrote them."""
    if print_temporal:
        from workers.cli.temporal_command import query
        from workers.cli.temporal_command import show as show_command
        from workers.settings import load_settings

        show_command(load_settings(), query(name, "variables"))
        return
    found = await_now(_variables(name))
    if as_json:
        print_json(found)
        return
    show(found)


async def _variables(name: str) -> dict[str, Any]:
    from workers.cli.wiring import connected
    from workers.settings import load_settings

    connection = await connected(load_settings())
    return await connection.runs.query(name, "variables")


def show(found: Mapping[str, Any]) -> None:
    """Print the answer of the query, a table for each flow."""
    from workflows.machine.view import Variables

    flows = Variables.model_validate(found).flows
    if not flows:
        remark("the run is loading its plan: it has no variables yet")
    for flow in flows:
        made = table("KEY", "NAME", "KIND", "VALUE", "FROM", "WRITTEN", narrow=("KIND", "WRITTEN"))
        for each in flow.variables:
            made.add_row(*plain(_cells(each)))
        show_table(made, f"subflow {flow.name} ({flow.path})" if flow.path else "run")


def _cells(view: "VariableView") -> list[str]:
    from workflows.machine.view.variables import described

    local = datetime.fromtimestamp(view.written_at).astimezone()
    at = f"{local:%m-%d %H:%M:%S}" if view.written_at else ""
    name = "" if view.name == view.key else view.name
    value = "" if view.value is None else short(view.value)
    return [view.key, name, view.kind, value, described(view), at]
