"""Lines and columns of JSON pointers, in JSON and in YAML."""

import json
from time import perf_counter

import pytest

from stdops import Diagnostic, Location
from translator.formats.positions import duplicates, locate, with_positions

JSON = """\
{
  "a": {"x": 1, "y/z": [10, {"q": "中文"}]},
  "k\\u0065y": "}{",
  "last": null
}
"""

YAML = """\
schema_version: v1
meta: {name: one, id: t1}
spec:
  nodes:
  - {id: s, type: EmptyStartEvent}
  - id: work
    type: ServiceActivity
    component:
      code: x
      data:
        host: {value: 1}
  constants:
    ${k}: {value: 2}
---
meta: {name: two, id: t2}
"""


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("", (1, 1)),
        ("/a", (2, 3)),
        ("/a/x", (2, 9)),
        ("/a/y~1z", (2, 17)),
        ("/a/y~1z/0", (2, 25)),
        ("/a/y~1z/1/q", (2, 30)),
        ("/key", (3, 3)),
        ("/last", (4, 3)),
        ("/a/missing/deep", (2, 3)),
        ("/nothing", (1, 1)),
    ],
)
def test_a_member_is_at_its_key_and_an_item_at_its_value(
    pointer: str, expected: tuple[int, int]
) -> None:
    assert locate(JSON, [pointer]) == {pointer: expected}


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("/0", (1, 1)),
        ("/0/meta/name", (2, 8)),
        ("/0/spec/nodes/1/type", (7, 5)),
        ("/1/meta", (15, 1)),
        ("/0/activities/work/component/data/host", (11, 9)),
        ("/0/start_event/id", (5, 6)),
        ("/0/constants/${k}/value", (13, 12)),
        ("/0/activities/ghost", (4, 3)),
    ],
)
def test_places_in_yaml_are_found_by_its_own_pointers_and_those_of_the_tree(
    pointer: str, expected: tuple[int, int]
) -> None:
    assert locate(YAML, [pointer]) == {pointer: expected}


@pytest.mark.parametrize("text", ["", "a: [", "{", '{"a', '"', "[1, 2", "\ufeff{}", "{]}[", "!!x"])
def test_text_that_is_cut_off_gives_no_exception(text: str) -> None:
    locate(text, ["", "/a", "/0"])


def test_a_dat_export_keeps_the_pointer_only() -> None:
    found = Diagnostic("SOP007", "error", "w", "f", Location("x.dat", "/a"))

    assert with_positions([found], b"eyJ9", "dat") == (found,)


def test_findings_get_their_place_and_yaml_ones_their_own_pointer() -> None:
    found = Diagnostic("SOP007", "error", "w", "f", Location("x", "/0/activities/work/name"))

    (placed,) = with_positions([found], YAML.encode(), "yaml")

    assert placed.where == Location("x", "/0/spec/nodes/1", 6, 5)


def test_a_place_that_is_known_stays() -> None:
    found = Diagnostic("SOP002", "error", "w", "f", Location("x", "", 9, 9))

    assert with_positions([found], b"{}", "web") == (found,)


def test_duplicates_are_named_by_pointer() -> None:
    text = '[{"a": 1, "b": {"a": 1}, "\\u0061": 2}, {"a": 1}]'

    assert duplicates(text) == [("/0/a", "a")]


def test_a_deep_text_is_walked_without_recursion() -> None:
    depth = 50_000

    assert locate("[" * depth + "]" * depth, ["/0/0"]) == {"/0/0": (1, 3)}


def test_many_places_in_a_long_text_take_one_pass() -> None:
    text = json.dumps({str(n): {"v": n} for n in range(20_000)}, indent=1)
    begun = perf_counter()

    places = locate(text, [f"/{n}/v" for n in range(0, 20_000, 20)])

    assert places["/19980/v"] == (2 + 19980 * 3 + 1, 3)
    assert perf_counter() - begun < 10
