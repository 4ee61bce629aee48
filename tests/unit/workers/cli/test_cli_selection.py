import base64
import hashlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from activities.registry import discover
from stdops import StdopsError
from workers.cli.wiring import Prepared, Start, prepare
from workers.store import Store

SALT = "821a11587ea434eb85c2f5327a90ae54"


def display(node: str, before: str, after: str, *, optional: bool) -> dict[str, Any]:
    return {
        "id": node,
        "type": "ServiceActivity",
        "name": node,
        "incoming": [before],
        "outgoing": after,
        "optional": optional,
        "component": {
            "code": "bk_display",
            "version": "v1.0",
            "data": {"bk_display_message": {"value": node}},
        },
    }


def export() -> bytes:
    """Return a .dat export of a line of three nodes, the last two optional, with one scheme."""
    ids = ["start", "check", "notify", "report", "end"]
    flows = {
        f"l{i}": {"id": f"l{i}", "source": a, "target": b}
        for i, (a, b) in enumerate(itertools.pairwise(ids))
    }
    tree: dict[str, Any] = {
        "start_event": {
            "id": "start",
            "type": "EmptyStartEvent",
            "name": "",
            "incoming": "",
            "outgoing": "l0",
        },
        "end_event": {
            "id": "end",
            "type": "EmptyEndEvent",
            "name": "",
            "incoming": ["l3"],
            "outgoing": "",
        },
        "activities": {
            "check": display("check", "l0", "l1", optional=False),
            "notify": display("notify", "l1", "l2", optional=True),
            "report": display("report", "l2", "l3", optional=True),
        },
        "gateways": {},
        "flows": flows,
        "constants": {},
        "outputs": [],
        "line": [],
        "location": [],
    }
    scheme = {"id": 7, "unique_id": "1-7", "name": "quiet", "data": '["report"]'}
    row: dict[str, Any] = {"template_id": "line", "name": "line", "tree": tree, "schemes": [scheme]}
    data: dict[str, Any] = {
        "exporter_version": 1,
        "template_source": "project",
        "template": {"1": {"id": 1, "pipeline_template_id": "line", "category": "Other"}},
        "pipeline_template_data": {"template": {"line": row}, "refs": {}},
    }
    text = json.dumps(data, sort_keys=True, separators=(",", ":")).replace("/", "\\/")
    digest = hashlib.md5((text + SALT).encode(), usedforsecurity=False).hexdigest()
    return base64.b64encode(json.dumps({"template_data": data, "digest": digest}).encode())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path / 'store.db'}") as opened:
        yield opened


def prepared(
    store: Store, tmp_path: Path, *schemes: str, exclude: tuple[str, ...] = ()
) -> Prepared:
    file = tmp_path / "line.dat"
    file.write_bytes(export())
    start = Start(values={}, exclude=exclude, schemes=schemes, operator="li")
    return prepare(str(file), "", store, discover(), start=start)


@pytest.mark.parametrize("name", ["quiet", "7"])
def test_a_scheme_keeps_its_nodes_and_those_that_are_not_optional(
    store: Store, tmp_path: Path, name: str
) -> None:
    ready = prepared(store, tmp_path, name)

    assert list(ready.plan.flow.nodes) == ["start", "check", "report", "end"]
    assert store.plan(ready.digest or "") == ready.plan


def test_a_node_can_be_left_out_by_name(store: Store, tmp_path: Path) -> None:
    ready = prepared(store, tmp_path, exclude=("notify", "report"))

    assert list(ready.plan.flow.nodes) == ["start", "check", "end"]


def test_without_a_choice_every_node_runs(store: Store, tmp_path: Path) -> None:
    ready = prepared(store, tmp_path)

    assert ready.digest is None
    assert len(ready.plan.flow.nodes) == 5


def test_an_unknown_scheme_is_refused_and_nothing_is_imported(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StdopsError, match="no scheme 'loud'; it has 'quiet'"):
        prepared(store, tmp_path, "loud")

    assert store.list_templates() == []


def test_a_node_that_is_not_optional_stays(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StdopsError, match="may not be left out"):
        prepared(store, tmp_path, exclude=("check",))
