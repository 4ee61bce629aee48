from tests.helpers.build import subflow, task, template, tree, variable, variables
from translator.check import MAX_FINDINGS, check
from translator.rules import SPECIFIED_RULES
from translator.template import SourceValue


def test_a_sound_template_has_no_findings() -> None:
    sound = tree("start fork1 a join1 end", "fork1 b join1")

    assert check(template(sound)) == []


def test_findings_stand_in_rule_order_then_place() -> None:
    nodes = [task(name, inputs={"x": "${gone}"}) for name in ("n10", "n2")]
    given = variables(variable("unused"))

    found = check(template(tree("start n10 n2 end", "lost n2", nodes=nodes, variables=given)))

    assert [each.code for each in found] == ["SOP103", "SOP104", "SOP201", "SOP201", "SOP202"]


def test_places_with_numbers_stand_in_their_order() -> None:
    nodes = [
        task(name, inputs={"x": "${gone}"})._replace(inputs=inputs_at(number))
        for name, number in (("a", 10), ("b", 9))
    ]

    found = check(template(tree("start a b end", nodes=nodes)))

    assert [each.where.path for each in found] == ["/activities/9", "/activities/10"]


def test_nested_flows_are_checked_at_any_depth() -> None:
    inner = tree("start x end", nodes=[task("x", inputs={"x": "${gone}"})])
    middle = tree("start sub2 end", nodes=[subflow("sub2", inner)])

    found = check(template(tree("start sub1 end", nodes=[subflow("sub1", middle)])))

    assert "SOP201" in {each.code for each in found}


def test_a_subflow_whose_template_was_not_found_is_left_alone() -> None:
    missing = subflow("sub1")._replace(tree=None)
    root = tree("start a end")

    assert check(template(root._replace(subflows={}, tasks=root.tasks))) == []
    assert check(template(tree("start sub1 end", nodes=[missing]))) == []


def test_more_than_a_thousand_findings_are_cut_with_a_word() -> None:
    given = variables(*(variable(f"v{number}") for number in range(MAX_FINDINGS + 1)))

    found = check(template(tree("start a end", variables=given)))

    assert len(found) == MAX_FINDINGS + 1
    assert found[-1].code == "SOP028"
    assert found[-1].what == "more than 1000 findings, the rest is not shown"


def test_codes_are_unique_and_in_order() -> None:
    codes = [rule.code for rule in SPECIFIED_RULES]

    assert codes == sorted(set(codes))


def inputs_at(number: int) -> dict[str, SourceValue]:
    return {"x": SourceValue("splice", "${gone}", f"/activities/{number}")}
