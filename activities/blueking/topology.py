"""Places in a business's topology, as ids of a form's tree or as lines of names.

Source: plugins' reference, section 3.3.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, cast

from pydantic import JsonValue

from activities.blueking.client import BlueKing, Json, as_rows
from activities.blueking.form import Fields
from activities.blueking.hosts import Scope
from activities.calls import PluginError

Level = Literal["module", "set", "parent"]

SEPARATOR: Final = ">"
UNKNOWN_METHOD: Final = "请选择填参方式"


class Place(NamedTuple):
    """An instance of the topology and the ids of those above it, from the business down."""

    id: int
    name: str
    kind: str
    above: tuple[int, ...]


class Topology(NamedTuple):
    """The tree of a business, and how many names lead to a place of the level that is wanted."""

    tree: list[Json]
    depth: int

    @property
    def business(self) -> str:
        """The name of the business, which stands at the root."""
        return str(self.tree[0].get("bk_inst_name", "")) if self.tree else ""

    def place(self, names: tuple[str, ...]) -> Place:
        """Return the place that names lead to, the business's own first.

        Raises:
            PluginError: they have another depth than the level, or lead nowhere.
        """
        if len(names) != self.depth:
            shown = SEPARATOR.join(names)
            raise PluginError(f"输入文本路径[{shown}]与业务拓扑层级不匹配")
        return _found(self.tree, names)


async def places(
    bk: BlueKing, scope: Scope, form: Fields, prefix: str, level: Level, *, method: str = ""
) -> list[int]:
    """Return the ids of the places that a form names by `<prefix>_topo` or `<prefix>_text`.

    Which of the two says its field `method`, `<prefix>_method` unless it is called otherwise.

    Raises:
        PluginError: the method is unknown, or a line names no place of the level.
    """
    ticked, text = form.items(f"{prefix}_topo"), form.text(f"{prefix}_text")
    match form.line(method or f"{prefix}_method"):
        case "topo":
            return topo_ids(ticked, "" if level == "parent" else level)
        case "text":
            return [place.id for place in await places_by_names(bk, scope, text, level)]
        case _:
            raise PluginError(UNKNOWN_METHOD)


def topo_ids(chosen: object, kind: str = "") -> list[int]:
    """Return the ids in what a tree gives, such as `set_12`; a plain number is one too.

    With `kind`, what is of another kind is left out: people tick a whole branch of a tree.

    Raises:
        PluginError: an item has no number.
    """
    items = cast("list[object]", chosen) if isinstance(chosen, list) else [chosen]
    texts = [str(item).strip() for item in items]
    kept = [item for item in texts if not kind or item.isdigit() or item.startswith(f"{kind}_")]
    try:
        return [int(item.rsplit("_", 1)[-1]) for item in kept]
    except ValueError as wrong:
        raise PluginError(f"topology ids such as set_12 are wanted: {wrong}") from None


async def places_by_names(bk: BlueKing, scope: Scope, text: str, level: Level) -> list[Place]:
    """Return the places that lines of names such as `business>set>module` lead to.

    Raises:
        PluginError: a line has another depth than the level, or leads nowhere.
    """
    found = await topology_of(bk, scope, level)
    return [found.place(line) for line in path_lines(text)]


async def topology_of(bk: BlueKing, scope: Scope, level: Level) -> Topology:
    """Return the business's topology, to find places of a level in it."""
    depth = await depth_of(bk, scope, level)
    return Topology(await topology(bk, scope), depth)


def path_lines(text: str) -> list[tuple[str, ...]]:
    """Return the lines of a text, each as the names in it; blank ones are left out."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [tuple(name.strip() for name in line.split(SEPARATOR)) for line in lines]


async def depth_of(bk: BlueKing, scope: Scope, level: Level) -> int:
    """Return how many names lead to a place of the level, the business's own included."""
    rows = await bk.rows("cc.get_mainline_object_topo", {"bk_supplier_account": scope.supplier})
    levels = [str(row.get("bk_obj_id")) for row in rows if row.get("bk_obj_id") != "host"]
    below = {"module": 0, "set": 1, "parent": 2}[level]
    return len(levels) - below


async def topology(bk: BlueKing, scope: Scope) -> list[Json]:
    """Return the business's tree: `{bk_obj_id, bk_inst_id, bk_inst_name, child}`."""
    return await bk.rows("cc.search_biz_inst_topo", scope.where)


def walk(tree: Iterable[Json], above: tuple[int, ...] = ()) -> Iterable[Place]:
    """Go through a tree, those above before those below."""
    for row in tree:
        place = _place(row, above)
        yield place
        yield from walk(_children(row), (*above, place.id))


def set_of_module(tree: Iterable[Json], module_id: int) -> int:
    """Return the set that a module stands in.

    Raises:
        PluginError: the module is not in the tree.
    """
    for place in walk(tree):
        if place.kind == "module" and place.id == module_id and place.above:
            return place.above[-1]
    raise PluginError(f"module {module_id} is not in the business's topology; choose another")


def _found(tree: Sequence[Json], names: tuple[str, ...]) -> Place:
    level, above = list(tree), ()
    place: Place | None = None
    for name in names:
        row = next((each for each in level if each.get("bk_inst_name") == name), None)
        if row is None:
            shown = SEPARATOR.join(names)
            raise PluginError(
                f"拓扑路径 [{shown}] 在本业务下不存在: 请检查配置, 修复后重新执行任务"
            )
        place = _place(row, above)
        above, level = (*above, place.id), _children(row)
    if place is None:
        raise PluginError(UNKNOWN_METHOD)
    return place


def _place(row: Mapping[str, JsonValue], above: tuple[int, ...]) -> Place:
    return Place(
        id=cast("int", row.get("bk_inst_id")),
        name=str(row.get("bk_inst_name", "")),
        kind=str(row.get("bk_obj_id", "")),
        above=above,
    )


def _children(row: Mapping[str, JsonValue]) -> list[Json]:
    return as_rows(row.get("child"))
