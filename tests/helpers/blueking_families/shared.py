"""Requests that several families make: how CMDB is asked for hosts and places.

Source: plugins' reference, sections 3.1, 3.3, 4.2 and 4.3.
"""

from typing import Any, Final

from tests.helpers.blueking_families.rows import Json, Sent, get, post

WHERE: Final[Json] = {"bk_biz_id": 2, "bk_supplier_account": "0"}
HOST_FIELDS: Final = ["bk_host_id", "bk_host_innerip", "bk_host_innerip_v6", "bk_cloud_id"]
PAGE: Final[Json] = {"page": {"start": 0, "limit": 500}}
TREE: Final = get("/cc/search_biz_inst_topo/", **WHERE)
LEVELS: Final = get("/cc/get_mainline_object_topo/", bk_supplier_account="0")


def _filter(field: str, values: list[Any]) -> Json:
    rules = [{"field": field, "operator": "in", "value": values}]
    return {"host_property_filter": {"condition": "AND", "rules": rules}}


def hosts(*ips: str) -> Sent:
    """Return how hosts of the business are looked for by address."""
    asked = _filter("bk_host_innerip", list(ips))
    return post("/cc/list_biz_hosts/", WHERE, PAGE, asked, fields=HOST_FIELDS)


def hosts_topo(*ips: str, fields: list[str] = HOST_FIELDS) -> Sent:
    """Return how hosts of the business are looked for with their places."""
    asked = _filter("bk_host_innerip", list(ips))
    return post("/cc/list_biz_hosts_topo/", WHERE, PAGE, asked, fields=fields)


def in_ids(*ids: int) -> Json:
    """Return what asks for hosts by their ids."""
    return {**WHERE, **PAGE, **_filter("bk_host_id", list(ids))}


def attributes(kind: str) -> Sent:
    """Return how the attributes of a kind of object are asked for."""
    return post("/cc/search_object_attribute/", bk_obj_id=kind, bk_supplier_account="0")
