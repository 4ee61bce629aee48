"""Exports for tests that hold a password, and a secret input of a plugin."""

import json
from typing import Any, Final

PASSWORD: Final = "canary-2b7e-password"
TOKEN: Final = "canary-8c3d-token"


def a_file(password: str = PASSWORD) -> bytes:
    """Return a file with a password variable, and a node with a token unless `password` is ""."""
    token = TOKEN if password else ""
    data = {"token": {"hook": False, "value": token}}
    task = _node("n", "ServiceActivity", component={"code": "broken", "data": data})
    return _packed("kid", "Kid", _tree(task, _constant("${word}", password)))


def a_parent() -> bytes:
    """Return a file whose one node calls the template of `a_file`, kept in the store."""
    node = _node("n", "SubProcess", template_id="kid", version="", constants={})
    return _packed("parent", "Parent", _tree(node))


def _constant(key: str, value: str) -> dict[str, Any]:
    return {
        "key": key,
        "name": key,
        "custom_type": "password",
        "source_type": "custom",
        "source_info": {},
        "source_tag": "password.password",
        "show_type": "hide",
        "value": value,
        "index": 0,
    }


def _node(key: str, kind: str, **more: Any) -> dict[str, Any]:
    edges = {"incoming": ["f1"], "outgoing": "f2"}
    return {"id": key, "type": kind, "name": key, "optional": False, **edges, **more}


def _tree(node: dict[str, Any], *constants: dict[str, Any]) -> dict[str, Any]:
    def event(key: str, kind: str, incoming: Any, outgoing: Any) -> dict[str, Any]:
        return {"id": key, "type": kind, "name": "", "incoming": incoming, "outgoing": outgoing}

    edges = [("f1", "s", node["id"]), ("f2", node["id"], "e")]
    return {
        "activities": {node["id"]: node},
        "gateways": {},
        "constants": {constant["key"]: constant for constant in constants},
        "outputs": [],
        "start_event": event("s", "EmptyStartEvent", "", "f1"),
        "end_event": event("e", "EmptyEndEvent", ["f2"], ""),
        "flows": {
            key: {"id": key, "source": source, "target": end, "is_default": False}
            for key, source, end in edges
        },
    }


def _packed(key: str, name: str, tree: dict[str, Any]) -> bytes:
    return json.dumps([{"id": key, "name": name, "pipeline_tree": tree}]).encode()
