"""`stdops eval`, as a person meets it; it may not open a socket."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from workers.cli import app


@pytest.fixture(autouse=True)
def _no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("an offline command opens a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "bind", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def evaluate(*args: str) -> Result:
    return CliRunner().invoke(app, ["eval", *args])


def answer(*args: str) -> dict[str, Any]:
    return json.loads(evaluate(*args, "--json").stdout)


def constant(key: str, value: Any, **more: Any) -> dict[str, Any]:
    fields = {"key": f"${{{key}}}", "name": key, "value": value, "source_type": "custom"}
    return {**fields, "custom_type": "input", "show_type": "show", **more}


def tree() -> dict[str, Any]:
    """A web tree with one task, and a variable of each kind."""
    constants = [
        constant("n", "4"),
        constant("twice", "${int(n) * 2}"),
        constant("host", "web", custom_type="ip_selector", source_tag="a.b"),
        constant("out", "", source_type="component_outputs", source_info={"n1": ["_result"]}),
    ]
    return {
        "start_event": {"id": "s", "type": "EmptyStartEvent", "incoming": "", "outgoing": "a"},
        "end_event": {"id": "e", "type": "EmptyEndEvent", "incoming": ["b"], "outgoing": ""},
        "activities": {
            "n1": {
                "id": "n1",
                "type": "ServiceActivity",
                "name": "wait",
                "incoming": ["a"],
                "outgoing": "b",
                "component": {"code": "sleep_timer", "version": "legacy", "data": {}},
            }
        },
        "gateways": {},
        "flows": {
            "a": {"id": "a", "source": "s", "target": "n1"},
            "b": {"id": "b", "source": "n1", "target": "e"},
        },
        "constants": {row["key"]: row for row in constants},
        "outputs": [],
    }


@pytest.fixture
def export(tmp_path: Path) -> str:
    file = tmp_path / "flow.json"
    file.write_text(json.dumps([{"id": "one", "name": "one", "pipeline_tree": tree()}]), "utf-8")
    return str(file)


@pytest.mark.parametrize(
    ("args", "kind", "references", "result", "of_type"),
    [
        (["plain"], "literal", [], "plain", "string"),
        (["${n}", "--set", "n:=4"], "reference", ["n"], 4, "integer"),
        (["${n}", "--set", "n=4"], "reference", ["n"], "4", "string"),
        (["${n}", "--set", "${n}:=[1]"], "reference", ["n"], [1], "array"),
        (["${n}", "--set", "n:=null"], "reference", ["n"], None, "null"),
        (["a ${n}", "--set", "n:=1.5"], "splice", ["n"], "a 1.5", "string"),
        (["${len(n) + 1}", "--set", "n=ab"], "expression", ["n"], "3", "string"),
        (["${n} == 4", "--mode", "condition", "--set", "n=4"], "condition", ["n"], True, "boolean"),
    ],
)
def test_a_value_is_rendered_and_told_what_it_is(
    args: list[str], kind: str, references: list[str], result: Any, of_type: str
) -> None:
    assert answer(*args) == {
        "value": args[0],
        "kind": kind,
        "references": references,
        "result": result,
        "type": of_type,
        "warnings": [],
    }


def test_each_fragment_that_stays_text_has_a_reason_and_a_cure() -> None:
    found = answer("${nme} ${ name} ${name.__class__} ${name[9]}", "--set", "name=x")

    assert found["result"] == found["value"]
    assert [set(warning) for warning in found["warnings"]] == [{"expression", "reason", "fix"}] * 4
    said = "\n".join(warning["reason"] for warning in found["warnings"])
    for part in ("did you mean 'name'?", "begins with a blank", "'__class__'", "IndexError"):
        assert part in said


def test_text_output_has_the_result_first_and_the_reasons_below() -> None:
    result = evaluate("${n / 0}", "--set", "n:=4")

    lines = result.stdout.splitlines()
    assert lines[0] == "${n / 0}"
    assert "stays text  ${n / 0}" in lines
    assert "  because   it raises ZeroDivisionError: division by zero" in lines
    assert "  with      n = 4" in lines


def test_strict_ends_with_1_when_a_fragment_stays_text() -> None:
    assert evaluate("${nope}").exit_code == 0
    assert evaluate("${nope}", "--strict").exit_code == 1
    assert evaluate("${1 + 1}", "--strict").exit_code == 0


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "SOP541 a value is missing"),
        (["x", "--value-file", "y"], "SOP541 a value is given twice"),
        (["x", "--set", "novalue"], "SOP541"),
        (["x", "--template", "none.json"], "SOP541 there is no file 'none.json'"),
        (["--value-file", "none.txt"], "SOP540"),
        (["${n} =", "--mode", "condition"], "SOP208 the condition does not parse"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(args: list[str], says: str) -> None:
    result = evaluate(*args)

    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_condition_that_cannot_be_tested_tells_what_it_saw() -> None:
    result = evaluate("${n.x} > 1", "--mode", "condition", "--set", "n=a")

    assert result.exit_code == 1
    assert "cannot be tested" in result.stderr
    assert "AttributeError" in result.stdout


def test_endless_work_ends_with_1_and_names_the_expression() -> None:
    result = evaluate("${'a' * 10**12}")

    assert result.exit_code == 1
    assert "MiB of memory" in result.stderr


def test_a_template_gives_variables_and_their_values(export: str) -> None:
    found = answer("${twice} ${n}", "--template", export)

    assert (found["result"], found["warnings"]) == ("8 4", [])
    assert answer("${twice}", "--template", export, "--set", "n=5")["result"] == "10"


def test_what_only_a_run_gives_has_no_value_unless_it_is_given(export: str) -> None:
    without = answer("${out} ${host}", "--template", export)
    given = answer("${out} ${host}", "--template", export, "--set", "out=1", "--set", "host=h")

    reasons = [warning["reason"] for warning in without["warnings"]]
    assert without["result"] == "${out} ${host}"
    assert "the output of a node" in reasons[0]
    assert "computed by 'ip_selector'" in reasons[1]
    assert (given["result"], given["warnings"]) == ("1 h", [])


def test_variables_that_refer_to_each_other_are_named(export: str) -> None:
    result = evaluate("${n}", "--template", export, "--set", "n=${twice}")

    assert result.exit_code == 1
    assert "n -> twice -> n" in result.stderr


def test_a_name_beside_the_template_is_used_and_told_of(export: str) -> None:
    result = evaluate("${m}", "--template", export, "--set", "m=1")

    assert result.stdout.startswith("1\n")
    assert "no variable 'm'" in result.stderr


def test_values_come_from_files_too(tmp_path: Path) -> None:
    value, context = tmp_path / "value.yaml", tmp_path / "context.json"
    value.write_text("cmd: ['ping', '${ip}']\n", "utf-8")
    context.write_text('{"ip": "10.0.0.1"}', "utf-8")

    found = answer("--value-file", str(value), "--context-file", str(context))

    assert (found["kind"], found["result"]) == ("object", {"cmd": ["ping", "10.0.0.1"]})


def test_a_text_file_is_one_text(tmp_path: Path) -> None:
    file = tmp_path / "deploy.sh"
    file.write_text('echo "${ip}"\n', "utf-8")

    assert answer("--value-file", str(file), "--set", "ip=h")["result"] == 'echo "h"\n'
