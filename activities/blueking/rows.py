"""Tables of a form: one row with several values in its cells becomes several rows. Pure.

Source: bk-sops's automatic expansion of rows, plugins' reference, section 3.3.
"""

from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from activities.calls import PluginError

Row = dict[str, JsonValue]


def expanded(rows: Iterable[Mapping[str, JsonValue]], separator: str = ",") -> list[Row]:
    """Return the rows with their cells split: cells with several values give as many rows.

    Raises:
        PluginError: cells of one row have different numbers of values, or are neither text nor int.
    """
    return [each for row in rows for each in _expanded_row(row, separator)]


def as_texts(rows: Iterable[Mapping[str, JsonValue]]) -> list[Row]:
    """Return the rows with their numbers as text."""
    return [
        {key: str(cell) if _is_number(cell) else cell for key, cell in row.items()} for row in rows
    ]


def without_empty(row: Mapping[str, JsonValue]) -> Row:
    """Return the row without the cells that nobody filled in."""
    return {key: cell for key, cell in row.items() if cell not in ("", None, [])}


def _expanded_row(row: Mapping[str, JsonValue], separator: str) -> list[Row]:
    split = {key: _values(cell, separator) for key, cell in row.items()}
    counts = {len(values) for values in split.values() if len(values) > 1}
    if len(counts) > 1:
        shown = [values for values in split.values() if len(values) > 1]
        raise PluginError(
            f"非法请求: [单行自动扩展]中, {shown} 按分隔符分割后的行数不一致, 请修复后重试"
        )
    count = next(iter(counts), 1)
    return [
        {key: values[at] if len(values) > 1 else values[0] for key, values in split.items()}
        for at in range(count)
    ]


def _values(cell: JsonValue, separator: str) -> list[JsonValue]:
    if isinstance(cell, str):
        parts = [part.strip() for part in cell.strip(separator).split(separator)]
        return [*parts] if separator in cell else [cell]
    if _is_number(cell):
        return [cell]
    raise PluginError(f"数据[{cell}]格式错误，请改为字符串")


def _is_number(cell: JsonValue) -> bool:
    return isinstance(cell, int) and not isinstance(cell, bool)
