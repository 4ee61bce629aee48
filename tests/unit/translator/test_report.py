import json

from stdops import Diagnostic, Location
from translator.report import as_json, as_sarif, as_text

ERROR = Diagnostic(
    "SOP104", "error", "node 'b' is lost", "connect it", Location("a b.json", "/activities/b", 2, 3)
)
NOTE = Diagnostic("SOP202", "note", "variable 'x' is never used", "delete it", Location("", "/x"))
UNKNOWN = Diagnostic("SOP999", "warning", "odd", "look", Location())


def test_text_shows_the_line_with_a_caret_and_a_summary() -> None:
    text = as_text([ERROR, NOTE], {"a b.json": '{\n\t "b": 1\n}'})

    assert text.splitlines() == [
        "a b.json:2:3 (/activities/b): error SOP104 node 'b' is lost; connect it",
        '  2 | \t "b": 1',
        "    | \t ^",
        "<input> (/x): note SOP202 variable 'x' is never used; delete it",
        "1 error, 1 note",
    ]


def test_a_long_line_is_cut_around_the_caret() -> None:
    where = Location("f", "", 1, 5001)
    found = Diagnostic("SOP002", "error", "bad", "mend", where)

    shown = as_text([found], {"f": "x" * 5000 + "!" + "y" * 5000}).splitlines()

    assert max(map(len, shown)) < 140
    assert shown[1][shown[2].index("^")] == "!"


def test_a_line_that_the_text_does_not_have_is_left_out() -> None:
    assert as_text([ERROR], {"a b.json": "{}"}).count("\n") == 1


def test_nothing_found_is_said() -> None:
    assert as_text([]) == "no findings"


def test_several_findings_are_counted_by_severity() -> None:
    assert as_text([ERROR, ERROR, UNKNOWN]).splitlines()[-1] == "2 errors, 1 warning"


def test_json_has_every_field() -> None:
    assert as_json([ERROR]) == [
        {
            "code": "SOP104",
            "severity": "error",
            "what": "node 'b' is lost",
            "fix": "connect it",
            "file": "a b.json",
            "path": "/activities/b",
            "line": 2,
            "column": 3,
        }
    ]


def test_sarif_places_a_finding_by_region_and_pointer() -> None:
    run = as_sarif([NOTE, ERROR], "1.0")["runs"][0]

    result = run["results"][1]

    assert (result["ruleId"], result["ruleIndex"], result["level"]) == ("SOP104", 1, "error")
    assert result["message"] == {"text": "node 'b' is lost; connect it"}
    assert result["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "a%20b.json"},
                "region": {"startLine": 2, "startColumn": 3},
            },
            "logicalLocations": [{"fullyQualifiedName": "/activities/b", "kind": "member"}],
        }
    ]


def test_sarif_rules_are_named_once_with_their_help() -> None:
    log = as_sarif([ERROR, ERROR, NOTE, UNKNOWN], "1.0")

    driver = log["runs"][0]["tool"]["driver"]
    rules = driver["rules"]

    assert (log["version"], driver["name"], driver["version"]) == ("2.1.0", "stdops", "1.0")
    assert [rule["id"] for rule in rules] == ["SOP104", "SOP202", "SOP999"]
    assert "Fix: Connect the node" in rules[0]["help"]["text"]
    assert rules[2] == {"id": "SOP999"}


def test_sarif_of_a_finding_without_a_place_is_json() -> None:
    log = as_sarif([UNKNOWN], "1.0")

    assert json.loads(json.dumps(log))["runs"][0]["results"][0]["locations"] == [{}]
