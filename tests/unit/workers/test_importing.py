import json
from collections.abc import Generator
from typing import Any

import pytest

from stdops import Diagnostic
from tests.helpers.shared import FIXTURES, needs_shared
from workers.importing import examine, load
from workers.store import Store


@pytest.fixture
def store() -> Generator[Store]:
    with Store.open("sqlite://") as opened:
        yield opened


def a_document(name: str = "Ping", *, target: str = "e", tree: str = "t1") -> dict[str, Any]:
    def event(key: str, kind: str, incoming: Any, outgoing: Any) -> dict[str, Any]:
        return {"id": key, "type": kind, "name": "", "incoming": incoming, "outgoing": outgoing}

    task: dict[str, Any] = {
        "id": "n",
        "type": "ServiceActivity",
        "name": "Sleep",
        "incoming": ["f1"],
        "outgoing": "f2",
        "optional": False,
        "component": {"code": "sleep_timer", "version": "legacy", "data": {}},
    }
    edges = [("f1", "s", "n"), ("f2", "n", target)]
    return {
        "id": tree,
        "name": name,
        "pipeline_tree": {
            "activities": {"n": task},
            "gateways": {},
            "constants": {},
            "outputs": [],
            "start_event": event("s", "EmptyStartEvent", "", "f1"),
            "end_event": event("e", "EmptyEndEvent", ["f2"], ""),
            "flows": {
                key: {"id": key, "source": source, "target": end, "is_default": False}
                for key, source, end in edges
            },
        },
    }


def packed(*documents: dict[str, Any]) -> bytes:
    return json.dumps(list(documents), indent=1).encode()


def errors(found: tuple[Diagnostic, ...]) -> list[Diagnostic]:
    return [one for one in found if one.severity == "error"]


def test_a_good_file_is_stored_with_plan_and_tree(store: Store) -> None:
    data = packed(a_document())

    imported = load(data, "ping.json", store, operator="ann")

    assert errors(imported.diagnostics) == []
    [saved] = imported.templates
    assert (saved.key, saved.version, saved.created) == ("ping", 1, True)
    stored = store.template("ping")
    assert store.plan(stored.plan_digest) == imported.plans[0]
    assert store.document(stored.document_digest) == data
    assert (stored.source_id, stored.imported_by) == ("t1", "ann")
    assert store.find("t1", None) == a_document()["pipeline_tree"]


def test_one_bad_template_keeps_the_whole_file_out(store: Store) -> None:
    data = packed(a_document(), a_document("Broken", target="nowhere", tree="t2"))

    imported = load(data, "two.json", store)

    assert (imported.templates, imported.plans) == ((), ())
    assert store.list_templates() == []
    assert all(one.where.file == "two.json" for one in errors(imported.diagnostics))
    assert any(one.where.line is not None for one in errors(imported.diagnostics))


def test_importing_again_changes_nothing(store: Store) -> None:
    first = load(packed(a_document()), "ping.json", store)

    again = load(packed(a_document()), "ping.json", store)

    assert [(one.version, one.created) for one in again.templates] == [(1, False)]
    assert again.templates[0].plan_digest == first.templates[0].plan_digest


def test_only_the_template_that_changed_gets_a_new_version(store: Store) -> None:
    changed = a_document("Pong", tree="t2")
    load(packed(a_document(), changed), "two.json", store)
    changed["pipeline_tree"]["activities"]["n"]["name"] = "Sleep longer"

    again = load(packed(a_document(), changed), "two.json", store)

    assert [(one.key, one.version) for one in again.templates] == [("ping", 1), ("pong", 2)]


@pytest.mark.parametrize("data", [b"", b"\x00\xff", b"{", b"{}", b"[1, 2]"])
def test_what_is_no_template_is_told_and_not_stored(store: Store, data: bytes) -> None:
    imported = load(data, "strange", store)

    assert errors(imported.diagnostics)
    assert store.list_templates() == []


@needs_shared
def test_an_export_with_a_child_is_stored_whole(store: Store) -> None:
    data = (FIXTURES / "dat" / "with_subprocess.dat").read_bytes()

    imported = load(data, "with_subprocess.dat", store)

    assert errors(imported.diagnostics) == []
    assert len(imported.templates) == len(store.list_templates()) == 3
    for listed in store.list_templates():
        assert store.find(listed.source_id, None) is not None
    assert len(examine(data, "with_subprocess.dat", store).plans) == 3
