"""Builds the text of flows as bk-sops stores them on the web, node by node."""

import json
from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

Fields = dict[str, JsonValue]

START: Final = "start"
END: Final = "end"


class Web:
    """A pipeline tree in the making; `join` draws the edges, from `START` to `END`."""

    def __init__(self) -> None:
        self._nodes: dict[str, Fields] = {}
        self._edges: dict[str, Fields] = {}
        self._into: dict[str, list[JsonValue]] = {}
        self._out_of: dict[str, list[JsonValue]] = {}
        self._constants: Fields = {}

    def __contains__(self, name: str) -> bool:
        return name in self._nodes

    def task(self, name: str, code: str, version: str, inputs: Mapping[str, JsonValue]) -> str:
        """Add a call of a plugin, and return its id."""
        data: Fields = {
            key: {"hook": False, "need_render": True, "value": raw} for key, raw in inputs.items()
        }
        return self._add(
            name,
            type="ServiceActivity",
            component={"code": code, "version": version, "data": data},
            optional=True,
            error_ignorable=False,
            skippable=True,
            retryable=True,
        )

    def subflow(self, name: str, inner: "Web") -> str:
        """Add a flow as a node, and return its id."""
        return self._add(
            name, type="SubProcess", pipeline={"id": name, **inner.tree()}, hooked_constants=[]
        )

    def gateway(self, name: str, kind: str) -> str:
        """Add a gateway such as `ParallelGateway`, and return its id."""
        return self._add(name, type=kind)

    def choice(self, name: str, ways: Mapping[str, str]) -> str:
        """Add an exclusive gateway with a condition for each target, and draw its edges."""
        self.gateway(name, "ExclusiveGateway")
        for target in ways:
            self.join(name, target)
        self._nodes[name]["conditions"] = {
            f"{name}-{target}": {"evaluate": rule, "name": rule} for target, rule in ways.items()
        }
        return name

    def join(self, source: str, target: str) -> str:
        """Draw an edge, and return its target."""
        edge = f"{source}-{target}"
        self._edges[edge] = {"id": edge, "source": source, "target": target, "is_default": False}
        self._out_of.setdefault(source, []).append(edge)
        self._into.setdefault(target, []).append(edge)
        return target

    def variable(self, key: str, value: str) -> None:
        """Add a variable that a person gives."""
        self._constant(key, custom_type="input", source_type="custom", show_type="show")
        constant = self._constants[f"${{{key}}}"]
        assert isinstance(constant, dict)  # noqa: S101  just made; for the type checker
        constant.update({"source_tag": "input.input", "validation": "^.+$", "value": value})

    def output_variable(self, key: str, node: str, output: str) -> None:
        """Add a variable that an output of a node goes to."""
        self._constant(
            key,
            custom_type="",
            source_type="component_outputs",
            show_type="hide",
            source_info={node: [output]},
        )

    def tree(self) -> Fields:
        """Return the whole tree; all its outputs are its first variable, if it has one."""
        activities: Fields = {}
        gateways: Fields = {}
        for name, node in self._nodes.items():
            out_of = self._out_of[name]
            many = "Gateway" in str(node["type"]) and node["type"] != "ConvergeGateway"
            outgoing: JsonValue = out_of if many else out_of[0]
            group = gateways if "Gateway" in str(node["type"]) else activities
            group[name] = {**node, "incoming": self._into[name], "outgoing": outgoing}
        flows: Fields = {**self._edges}
        outputs: list[JsonValue] = [*list(self._constants)[:1]]
        return {
            "start_event": _event(START, "EmptyStartEvent", "", self._out_of[START][0]),
            "end_event": _event(END, "EmptyEndEvent", self._into[END][0], ""),
            "activities": activities,
            "gateways": gateways,
            "flows": flows,
            "constants": self._constants,
            "outputs": outputs,
        }

    def text(self) -> bytes:
        """Return the tree as a file's bytes."""
        return json.dumps(self.tree(), ensure_ascii=False).encode()

    def _add(self, name: str, **fields: JsonValue) -> str:
        self._nodes[name] = {"id": name, "name": name, **fields}
        return name

    def _constant(self, key: str, **fields: JsonValue) -> None:
        spelled = f"${{{key}}}"
        self._constants[spelled] = {
            "key": spelled,
            "name": key,
            "index": len(self._constants),
            "desc": "",
            "source_tag": "",
            "source_info": {},
            "validation": "",
            "value": "",
            **fields,
        }


def _event(name: str, kind: str, incoming: JsonValue, outgoing: JsonValue) -> Fields:
    return {"id": name, "type": kind, "name": "", "incoming": incoming, "outgoing": outgoing}
