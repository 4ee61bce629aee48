"""Whatever the bytes, `parse` answers: findings or templates, never an exception."""

import base64
import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.shared import FIXTURES, needs_shared
from translator.formats.codes import FORMAT_CODES
from translator.formats.dat import digests
from translator.formats.fields import Findings
from translator.formats.json_text import parse_json
from translator.formats.positions import locate
from translator.formats.yaml_v1 import YAML_CODES
from translator.parse import Parsed, parse

MUTATIONS = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
STRANGE: list[Any] = [
    None, True, False, 0, -1, 1.5, 10**30, "", "x", "${a}", "\x00", "a/b~c", [], {}, [1], ["x"],
    [[]], {"": {}}, {"a": 1}, [None], {"a": []}, "ServiceActivity", "SubProcess",
]  # fmt: skip


@cache
def stored() -> list[bytes]:
    files = sorted({*FIXTURES.glob("web/*"), *FIXTURES.glob("engine/*"), *FIXTURES.glob("dat/*")})
    return [path.read_bytes() for path in [*files, *sorted(FIXTURES.glob("yaml/*.yaml"))]]


@cache
def documents() -> list[Any]:
    names = ("web/*.json", "engine/*.json", "dat/*.json")
    paths: list[Path] = [path for name in names for path in sorted(FIXTURES.glob(name))]
    return [json.loads(path.read_text()) for path in paths]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container with each of its keys or indices."""
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(cast("dict[str, Any]", value))
    elif isinstance(value, list):
        keys = list(range(len(cast("list[Any]", value))))
    for key in keys:
        yield value, key
        yield from places(value[key])


def mutate(document: Any, draw: Any) -> Any:
    """Drop, replace, rename or copy a few fields of a copy."""
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 4))):
        spots = list(places(changed))
        if spots:
            (holder, key), (other, name) = draw(
                st.lists(st.sampled_from(spots), min_size=2, max_size=2)
            )
            change(holder, key, copy.deepcopy(other[name]), draw)
    return changed


def change(holder: Any, key: Any, other: Any, draw: Any) -> None:
    match draw(st.sampled_from(["drop", "replace", "rename", "copy"])):
        case "drop":
            del holder[key]
        case "rename" if isinstance(holder, dict):
            named = cast("dict[str, Any]", holder)
            named[draw(st.sampled_from(["id", "type", "${x}", "pipeline", ""]))] = named.pop(key)
        case "copy":
            holder[key] = other
        case _:
            holder[key] = copy.deepcopy(draw(st.sampled_from(STRANGE)))


def assert_answers(found: Parsed) -> None:
    known = {*FORMAT_CODES, *YAML_CODES}
    assert all(each.code in known and each.what and each.fix for each in found.diagnostics)
    assert all("\n" not in str(each) for each in found.diagnostics)
    assert found.templates or any(each.severity == "error" for each in found.diagnostics)
    assert len({each.key for each in found.templates}) == len(found.templates)


@needs_shared
@MUTATIONS
@given(st.data())
def test_a_template_with_changed_fields_is_answered(data: st.DataObject) -> None:
    document = mutate(data.draw(st.sampled_from(documents())), data.draw)

    assert_answers(parse(json.dumps(document).encode(), "x.json"))


@needs_shared
@MUTATIONS
@given(st.data())
def test_an_export_with_changed_fields_is_answered(data: st.DataObject) -> None:
    exports = [each for each in documents() if "pipeline_template_data" in each]
    changed = mutate(data.draw(st.sampled_from(exports)), data.draw)
    payload = {"digest": digests(changed)[0], "template_data": changed}

    found = parse(base64.b64encode(json.dumps(payload).encode()), "x.dat", exclude=["n1"])

    assert_answers(found)
    assert "SOP003" not in {each.code for each in found.diagnostics}


@needs_shared
@MUTATIONS
@given(st.data())
def test_a_file_that_was_cut_or_damaged_is_answered(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from(stored()))
    start = data.draw(st.integers(0, len(whole)))
    removed = data.draw(st.one_of(st.integers(0, 20), st.just(len(whole))))
    put = data.draw(st.binary(max_size=4))

    assert_answers(parse(whole[:start] + put + whole[start + removed :], "x"))


@MUTATIONS
@given(st.binary(max_size=200))
def test_any_bytes_are_answered(data: bytes) -> None:
    assert_answers(parse(data, "x"))


@MUTATIONS
@given(st.text(alphabet='{}[]":,\\ \n09ae-truefalsn/~中', max_size=60))
def test_any_json_like_text_is_answered_and_located(text: str) -> None:
    assert_answers(parse(("{" + text).encode()))
    locate("{" + text, ["", "/a", "/0/1"])


NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.text(max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@MUTATIONS
@given(JSON, st.sampled_from([None, 1]))
def test_json_without_duplicates_has_no_findings(value: Any, indent: int | None) -> None:
    findings = Findings()

    assert parse_json(json.dumps(value, indent=indent), findings) == value
    assert findings.items == []


@MUTATIONS
@given(JSON, st.text(max_size=6))
def test_every_duplicate_key_is_found(value: Any, key: str) -> None:
    findings = Findings()
    name = json.dumps(key)

    parse_json(f"[{json.dumps(value)}, {{{name}: 1, {name}: 2}}]", findings)

    assert [each.code for each in findings.items] == ["SOP006"]


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 1_000_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"pipeline_tree": "' + b"[" * 100_000 + b'"}',
        b'"' * 1_000_001,
        b"A" * 1_000_000,
        b"a: " * 100_000,
        b"9" * 1_000_000,
        b'{"activities": ' + b"9" * 100_000 + b"}",
        b'{"data":' * 90 + b"{}" + b"}" * 90,
    ],
    ids=["brackets", "objects", "packed", "quotes", "base64", "yaml", "digits", "number", "wraps"],
)
def test_hostile_files_are_refused_quickly(data: bytes) -> None:
    found = parse(data)

    assert found.templates == ()
    assert found.diagnostics
