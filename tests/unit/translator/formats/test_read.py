"""What a file is, found by its content; and what is said when it is nothing of ours."""

import base64
import gzip
import json
from typing import Any

import pytest

from stdops import Diagnostic
from tests.helpers.shared import FIXTURES, needs_shared
from translator.formats import read
from translator.formats.dat import canonical, digests
from translator.formats.detect import MAX_BYTES, form_of
from translator.formats.document import slug

TREE: dict[str, Any] = {
    "start_event": {"id": "s", "type": "EmptyStartEvent", "name": "", "outgoing": "f"},
    "end_event": {"id": "e", "type": "EmptyEndEvent", "name": "", "incoming": ["f"]},
    "activities": {},
    "gateways": {},
    "flows": {"f": {"id": "f", "source": "s", "target": "e"}},
    "constants": {},
    "outputs": [],
}
ROW = {"name": "Ping hosts", "id": 7, "version": "v9", "category": "OpsTools"}
DATA: dict[str, Any] = {
    "exporter_version": 1,
    "template": {"7": {"pipeline_template_str_id": "p1", "category": "Other"}},
    "pipeline_template_data": {
        "template": {
            "p1": {
                "template_id": "p1",
                "name": "Ping",
                "tree": TREE,
                "schemes": [{"id": 3, "name": "some", "data": '["n1"]'}],
            }
        }
    },
}


def packed(data: Any, digest: str | None = None) -> bytes:
    payload = {"digest": digest or digests(data)[0], "template_data": data}
    return base64.b64encode(json.dumps(payload).encode())


def found(data: bytes, file: str = "") -> list[tuple[str, str, str, str]]:
    return [(each.format, each.key, each.id, each.at) for each in read(data, file).documents]


def codes(data: bytes) -> list[str]:
    return [each.code for each in read(data).diagnostics]


def only(data: bytes) -> Diagnostic:
    (diagnostic,) = read(data).diagnostics
    return diagnostic


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (TREE, ("web", "flow", "", "")),
        ({**TREE, "data": {"inputs": {}, "outputs": []}}, ("engine", "flow", "", "")),
        ({**ROW, "pipeline_tree": TREE}, ("web", "ping-hosts", "7", "/pipeline_tree")),
        ({**ROW, "pipeline_tree": json.dumps(TREE)}, ("web", "ping-hosts", "7", "/pipeline_tree")),
        (
            {"result": True, "data": {**ROW, "pipeline_tree": TREE}},
            ("web", "ping-hosts", "7", "/data/pipeline_tree"),
        ),
        ([{"pipeline_tree": TREE}], ("web", "flow", "", "/0/pipeline_tree")),
        ({"a/b": {"pipeline_tree": TREE}}, ("web", "flow", "", "/a~1b/pipeline_tree")),
        (DATA, ("web", "ping", "p1", "/pipeline_template_data/template/p1/tree")),
    ],
    ids=["tree", "engine", "wrapped", "tree as text", "answer", "list", "several", "export"],
)
def test_json_is_known_by_its_content(value: Any, expected: tuple[str, ...]) -> None:
    assert found(json.dumps(value).encode(), "flow.txt") == [expected]


def test_a_dat_export_is_unpacked() -> None:
    documents, diagnostics = read(packed(DATA))

    assert diagnostics == ()
    assert documents[0].format == "dat"
    assert documents[0].at == "/template_data/pipeline_template_data/template/p1/tree"
    assert documents[0].category == "Other"
    assert [(each.id, each.name, each.nodes) for each in documents[0].schemes] == [
        ("3", "some", ("n1",))
    ]


def test_a_dat_export_may_be_broken_into_lines() -> None:
    text = packed(DATA).decode()
    lines = "\r\n".join(text[start : start + 76] for start in range(0, len(text), 76))

    assert codes(lines.encode() + b"\n") == []


def test_the_old_salt_is_accepted() -> None:
    assert codes(packed(DATA, digests(DATA)[1])) == []


def test_a_wrong_digest_is_an_error_but_the_rest_is_read() -> None:
    documents, diagnostics = read(packed(DATA, "0" * 32))

    assert [(each.code, each.where.path) for each in diagnostics] == [("SOP003", "/digest")]
    assert len(documents) == 1


@needs_shared
def test_digests_are_those_of_the_real_exporter() -> None:
    vectors = json.loads((FIXTURES / "vectors" / "dat_digest.json").read_text())

    for vector in vectors["inline"]:
        data = vector["template_data"]
        assert canonical(data) == vector["serialized"]
        assert digests(data) == (vector["digest"], vector["digest_old_salt"])


@needs_shared
def test_real_exports_are_accepted_or_refused_as_bk_sops_does() -> None:
    vectors = json.loads((FIXTURES / "vectors" / "dat_digest.json").read_text())

    for vector in vectors["files"]:
        documents, diagnostics = read((FIXTURES / vector["file"]).read_bytes())
        assert (diagnostics == ()) == vector["valid"], vector["file"]
        if vector["valid"]:
            assert len(documents) == vector["templates"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("\x7f", '"\x7f"'),
        ("\\u007f", '"\\\\u007f"'),
        (1e-7, "1e-7"),
        (1.5e-17, "1.5e-17"),
        (1e16, "1e+16"),
        ("1e-07", '"1e-07"'),
        ('"e-07', '"\\"e-07"'),
        ("a/b", '"a\\/b"'),
        ("é", '"\\u00e9"'),
    ],
)
def test_the_digest_is_made_of_text_as_ujson_writes_it(data: Any, expected: str) -> None:
    assert canonical(data) == expected


@pytest.mark.parametrize(
    ("data", "code", "what"),
    [
        (b"", "SOP012", "the file is empty"),
        (b" \n\t", "SOP012", "the file is empty"),
        (b"\xef\xbb\xbf", "SOP012", "the file is empty"),
        (b"{}", "SOP012", "the file holds no template"),
        (b"[]", "SOP012", "the file holds no template"),
        (b'{"result": false, "message": "no"}', "SOP012", "API answer that reports a failure"),
        (b'{"nodes": [], "connections": {}}', "SOP001", "it has 'nodes', 'connections'"),
        (b'"text"', "SOP001", "neither"),
        (b"[1, 2, 3]", "SOP001", "not pipeline tree JSON"),
        (b"hello world, this is no template!", "SOP001", "neither"),
        (b"<html><body>login: </body></html>", "SOP001", "neither"),
        (b"PK\x03\x04....", "SOP001", "zip archive"),
        (gzip.compress(b"{}", mtime=0), "SOP001", "gzip archive"),
        ("{}".encode("utf-16"), "SOP010", "UTF-16"),
        ('{"name": "流程"}'.encode("gbk"), "SOP010", "at offset 10"),
        (b'\xef\xbb\xbf{"a": "\xff"}', "SOP010", "0xff at offset 10"),
        (b'{"activities": {', "SOP002", "cut off"),
        (b'{"a": NaN}', "SOP002", "malformed"),
        (b'{"a": -Infinity}', "SOP002", "malformed"),
        (b'{"a": 1e999}', "SOP002", "too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "SOP002", "malformed"),
        (b'{"a": "\\ud800"}', "SOP002", "malformed"),
        (b'{"a": 1}}', "SOP002", "malformed"),
        (b"[" * 100_000, "SOP005", "deeper than 100"),
        (b'{"a":' * 100_000, "SOP005", "deeper than 100"),
        (b"[" * 101 + b"]" * 101, "SOP005", "deeper than 100"),
        (b"[" * 100 + b"]" * 100, "SOP001", "not pipeline tree JSON"),
        (b'{"exporter_version": 1, "pipeline_template_data": {"template": {}}}', "SOP012", "no t"),
        (b'{"pipeline_template_data": []}', "SOP007", "a list, not an object"),
        (b'{"pipeline_tree": null}', "SOP008", "no 'pipeline_tree'"),
        (b'{"pipeline_tree": 5}', "SOP007", "a number, not an object"),
        (base64.b64encode(b'{"digest": "x", "template_da'), "SOP002", "cut off at line 1"),
        (base64.b64encode(b'{"digest": "\xff\xfe"}'), "SOP002", ".dat export is damaged"),
    ],
)
def test_what_is_no_template_is_refused_in_one_finding(data: bytes, code: str, what: str) -> None:
    diagnostic = only(data)

    assert (diagnostic.code, diagnostic.severity) == (code, "error")
    assert what in diagnostic.what


def test_a_file_over_the_limit_is_refused_before_it_is_read() -> None:
    assert codes(b" " * (MAX_BYTES + 1)) == ["SOP004"]


def test_malformed_json_names_line_and_column_in_characters() -> None:
    where = only('{\n "名称": "流程",\n "b": "中" oops}'.encode()).where

    assert (where.line, where.column) == (3, 11)


def test_duplicate_keys_are_all_reported_with_their_place() -> None:
    text = '{"a": {"x": 1, "x": 2}, "b": "{\\"x\\": 1}", "b": 3, "c:": "d:"}'
    diagnostics = read(text.encode()).diagnostics

    assert [(d.code, d.where.path) for d in diagnostics] == [("SOP006", "/a/x"), ("SOP006", "/b")]


def test_colons_and_quotes_in_text_are_no_duplicate_keys() -> None:
    value = {**TREE, "note": ': "a": \\" {"b": 1} \\', "k\\": '\\"', '"q":': ":", "": "://"}

    assert codes(json.dumps(value).encode()) == []
    assert codes(json.dumps(value, indent=1).encode()) == []


def test_an_unknown_exporter_version_is_named() -> None:
    assert codes(json.dumps({**DATA, "exporter_version": 2}).encode()) == ["SOP009"]


def test_a_template_under_another_key_is_reported() -> None:
    row = {**DATA["pipeline_template_data"]["template"]["p1"], "template_id": "p2"}
    data = {"pipeline_template_data": {"template": {"p1": row}}}

    assert codes(json.dumps(data).encode()) == ["SOP013"]


@pytest.mark.parametrize("schemes", [5, [5], [{"id": 1, "data": "["}], [{"id": [], "data": "[]"}]])
def test_wrong_schemes_are_reported(schemes: Any) -> None:
    assert codes(json.dumps({"pipeline_tree": TREE, "schemes": schemes}).encode()) == ["SOP007"]


def test_keys_are_unique_in_a_file() -> None:
    rows: list[dict[str, Any]] = [{"name": "Same", "pipeline_tree": TREE} for _ in range(3)]
    rows.append({"name": "same!", "id": 9, "pipeline_tree": TREE})

    keys = [document.key for document in read(json.dumps(rows).encode()).documents]

    assert keys == ["same", "same-2", "same-3", "9"]


def test_yaml_is_handed_to_its_reader() -> None:
    text = "schema_version: v2\nmeta: {name: x, id: y}\nspec: {nodes: []}\n"

    assert "SOP009" in codes(text.encode())


def test_yaml_written_as_json_is_yaml() -> None:
    text = '{"schema_version": "v2", "meta": {"name": "x", "id": "y"}, "spec": {"nodes": []}}'

    assert "SOP009" in codes(text.encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Ping  hosts (v2)", "ping-hosts-v2"), ("流程 1", ""), ("--", ""), ("a/b", "a-b")],
)
def test_a_slug_is_ascii_or_nothing(text: str, expected: str) -> None:
    assert slug(text) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b" {", "web"), (b"\xef\xbb\xbf[", "web"), (b"ZGF0\n", "dat"), (b"a: b", "yaml")],
)
def test_the_form_of_a_text_says_how_to_find_places(data: bytes, expected: str) -> None:
    assert form_of(data) == expected
