"""Laws of the YAML reader: no document raises, and what it accepts is a whole web tree."""

import contextlib
import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from translator.formats.yaml_v1 import read_yaml

BASE: list[dict[str, Any]] = [
    {
        "schema_version": "v1",
        "meta": {"name": "Parent", "id": "top"},
        "spec": {
            "nodes": [
                {"id": "s", "type": "EmptyStartEvent"},
                {
                    "id": "a",
                    "type": "ServiceActivity",
                    "name": "A",
                    "component": {"code": "c", "data": {"x": {"key": "${x}", "value": 1}}},
                    "output": {"_loop": {"key": "${_loop}", "hide": True}},
                },
                {
                    "id": "g",
                    "type": "ExclusiveGateway",
                    "next": ["a", "p"],
                    "conditions": {"a": {"evaluate": "${_loop} < 3", "name": "again"}},
                    "default_condition": {"p": {"name": "on"}},
                },
                {
                    "id": "p",
                    "type": "ParallelGateway",
                    "converge_gateway_id": "c",
                    "next": ["k", "c"],
                },
                {
                    "id": "k",
                    "type": "SubProcess",
                    "name": "Child",
                    "template_id": "kid",
                    "data": {"${p}": {"key": "${mine}"}},
                },
                {"id": "c", "type": "ConvergeGateway"},
                {"id": "e", "type": "EmptyEndEvent"},
            ],
            "constants": {"${n}": {"value": 2, "type": "input"}},
            "outputs": ["${n}"],
        },
    },
    {
        "schema_version": "v1",
        "meta": {"name": "Child", "id": "kid"},
        "spec": {
            "nodes": [
                {"id": "s", "type": "EmptyStartEvent"},
                {"id": "t", "type": "ServiceActivity", "name": "T", "component": {"code": "c"}},
                {"id": "e", "type": "EmptyEndEvent"},
            ],
            "constants": {"${p}": {"value": 1}},
        },
    },
]

JUNK: list[Any] = [None, True, 0, -1.5, "", "x", "${a}", "a", "kid", [], [1], ["a"], {}, {"a": {}}]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items: Any = value.items() if isinstance(value, dict) else ()  # pyright: ignore[reportUnknownVariableType]
    items = enumerate(value) if isinstance(value, list) else items  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return [path, *(inner for key, each in items for inner in places(each, (*path, key)))]


PLACES = [path for path in places(BASE) if path]


def damage(documents: Any, path: tuple[Any, ...], junk: Any, *, drop: bool) -> None:
    """Drop or replace what stands at `path`, unless earlier damage took it away."""
    with contextlib.suppress(KeyError, IndexError, TypeError):
        holder = documents
        for step in path[:-1]:
            holder = holder[step]
        if drop:
            del holder[path[-1]]
        else:
            holder[path[-1]] = copy.deepcopy(junk)


@given(
    st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(JUNK), st.booleans()), max_size=3)
)
def test_a_damaged_document_gives_findings_or_a_whole_tree(wounds: list[Any]) -> None:
    documents = copy.deepcopy(BASE)
    for path, junk, drop in wounds:
        damage(documents, path, junk, drop=drop)
    text = "\n---\n".join(json.dumps(each) for each in documents)

    result = read_yaml(text, "f.yaml", "")

    if not result.documents:
        assert result.diagnostics
    for document in result.documents:
        tree: Any = document.tree
        nodes = {**tree["activities"], **tree["gateways"]}
        nodes |= {tree[end]["id"]: tree[end] for end in ("start_event", "end_event")}
        assert all(
            edge["source"] in nodes and edge["target"] in nodes for edge in tree["flows"].values()
        )
        json.dumps(tree)


@given(st.integers(0, 3000))
def test_a_text_that_was_cut_never_raises(length: int) -> None:
    text = "\n---\n".join(json.dumps(each, indent=1) for each in BASE)

    result = read_yaml(text[:length], "f.yaml", "")

    assert result.documents or result.diagnostics
