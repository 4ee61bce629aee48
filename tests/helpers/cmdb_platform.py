"""A BlueKing platform whose CMDB has one business `shop` with two sets and a few hosts."""

from collections.abc import Iterable
from typing import Final, cast

import httpx
from pydantic import JsonValue

from activities.contract import Done, Failed, Waiting
from activities.sdk import AnyPlugin
from tests.helpers.job_platform import Asked, Json, Platform, on_stage

WHERE: Final[Json] = {"bk_biz_id": 2, "bk_supplier_account": "0"}
BUSINESS: Final = 2
TREE: Final[JsonValue] = [
    {
        "bk_obj_id": "biz",
        "bk_inst_id": BUSINESS,
        "bk_inst_name": "shop",
        "child": [
            {
                "bk_obj_id": "set",
                "bk_inst_id": 5,
                "bk_inst_name": "east",
                "child": [
                    {"bk_obj_id": "module", "bk_inst_id": 51, "bk_inst_name": "web", "child": []},
                    {"bk_obj_id": "module", "bk_inst_id": 52, "bk_inst_name": "db", "child": []},
                ],
            },
            {
                "bk_obj_id": "set",
                "bk_inst_id": 6,
                "bk_inst_name": "west",
                "child": [
                    {"bk_obj_id": "module", "bk_inst_id": 61, "bk_inst_name": "web", "child": []}
                ],
            },
        ],
    }
]
LEVELS: Final[JsonValue] = [{"bk_obj_id": kind} for kind in ("biz", "set", "module", "host")]
SETS: Final = {"east": 5, "west": 6}
PLACES: Final = {1: [(5, 51)], 2: [(5, 52), (6, 61)]}
"""Sets and modules in which hosts stand, by the hosts' ids; the others stand nowhere."""


def attribute(name: str, kind: str = "singlechar", **more: JsonValue) -> Json:
    """Return an attribute as CMDB describes it."""
    return {"bk_property_id": name, "bk_property_type": kind, **more}


def choice(name: str, **options: str) -> Json:
    """Return an attribute that is a choice; options by their names, with their ids."""
    found: list[JsonValue] = [{"id": number, "name": each} for each, number in options.items()]
    return attribute(name, "enum", option=found)


ATTRIBUTES: Final[dict[str, list[Json]]] = {
    "host": [
        choice("bk_isp_name", telecom="1", unicom="2"),
        attribute("bk_cpu", "int"),
        attribute("is_spare", "bool", editable=True),
        attribute("operator", "objuser", editable=True),
        attribute("bk_os_name", editable=False),
    ],
    "set": [
        choice("bk_service_status", open="1", closed="2"),
        choice("bk_set_env", test="1", production="3"),
        attribute("bk_capacity", "int"),
        attribute("is_spare", "bool"),
    ],
    "module": [choice("bk_module_type", plain="1", database="2"), attribute("rank", "int")],
}

ONLY_READ: Final = ("cc.list_", "cc.search_", "cc.get_", "cc.find_")


class Cmdb(Platform):
    """The platform; `replies` say what an API answers instead, as of `Platform`."""

    @property
    def changes(self) -> list[Asked]:
        """The calls that change CMDB, in order."""
        return [each for each in self.asked if not each.name.startswith(ONLY_READ)]

    def _default(self, name: str, params: Json) -> JsonValue:
        match name:
            case "cc.get_mainline_object_topo":
                return LEVELS
            case "cc.search_biz_inst_topo":
                return TREE
            case "cc.search_object_attribute":
                return [*ATTRIBUTES[str(params["bk_obj_id"])]]
            case "cc.search_set":
                return self._sets(cast("Json", params["condition"]))
            case "cc.list_biz_hosts_topo":
                return self._placed(params)
            case _:
                return super()._default(name, params)

    def _sets(self, condition: Json) -> Json:
        """Return sets as CMDB finds them: by a part of the name."""
        wanted = str(condition.get("bk_set_name", ""))
        rows: list[JsonValue] = [
            {"bk_set_id": number, "bk_set_name": name}
            for name, number in {"northeast": 7, **SETS}.items()
            if wanted in name
        ]
        return {"count": len(rows), "info": rows}

    def _placed(self, params: Json) -> Json:
        found = cast("list[Json]", self._hosts("cc.list_biz_hosts", params)["info"])
        rows: list[JsonValue] = [
            {"host": each, "topo": _topo(PLACES.get(cast("int", each["bk_host_id"]), []))}
            for each in found
        ]
        return {"count": len(rows), "info": rows}


def _topo(places: Iterable[tuple[int, int]]) -> list[JsonValue]:
    names = {number: name for name, number in SETS.items()}
    return [
        {
            "bk_set_id": number,
            "bk_set_name": names[number],
            "module": [{"bk_module_id": module, "bk_module_name": f"m{module}"}],
        }
        for number, module in places
    ]


def lost() -> httpx.ReadError:
    """Return what is raised when an answer is lost."""
    return httpx.ReadError("reset")


async def ended(
    platform: Cmdb, plugin: AnyPlugin, form: Json, *, ipv6: bool = False
) -> Done | Failed | Waiting:
    """Run a component to its end."""
    async with on_stage(platform, ipv6=ipv6) as stage:
        return await stage.run(plugin, form)


async def failure_of(platform: Cmdb, plugin: AnyPlugin, form: Json) -> str:
    """Run a component that fails, and return its error."""
    end = await ended(platform, plugin, form)
    assert isinstance(end, Failed), end
    return end.error


async def changes_of(plugin: AnyPlugin, form: Json, platform: Cmdb | None = None) -> list[Asked]:
    """Run a component that succeeds, and return its calls that change CMDB."""
    platform = platform or Cmdb()
    end = await ended(platform, plugin, form)
    assert isinstance(end, Done), end
    return platform.changes
