"""What is run: a template that the translator takes, and as many nodes as are told."""

import pytest

from bench.shapes import Form, Shape, document, plan_of, shapes
from translator.check import check
from translator.parse import parse
from translator.plan import Plan, Task, flows_of

SHAPES = shapes(quick=True)
SMALL = [shape for shape in SHAPES if shape.kind == "activity" or shape.form == "wait"]


def tasks(plan: Plan) -> int:
    nodes = (node for flow in flows_of(plan.flow) for node in flow.nodes.values())
    return sum(isinstance(node, Task) for node in nodes)


@pytest.mark.parametrize("shape", SMALL, ids=lambda shape: shape.key)
def test_a_shape_is_a_template_without_errors(shape: Shape) -> None:
    parsed = parse(document(shape), "shape.json")

    errors = [each for each in check(parsed.templates[0]) if each.severity == "error"]

    assert (parsed.diagnostics, errors) == ((), [])


@pytest.mark.parametrize(
    ("form", "size", "count"),
    [("line", 7, 7), ("fork", 17, 13), ("fan", 5, 5), ("nested", 4, 8), ("loop", 9, 1)],
)
def test_a_plan_has_the_tasks_of_its_form(form: Form, size: int, count: int) -> None:
    shape = Shape("k", form, size)

    assert tasks(plan_of(shape)) == count


def test_the_small_shapes_have_the_names_of_the_large_ones() -> None:
    large = shapes(quick=False)

    assert [(s.key, s.kind) for s in large] == [(s.key, s.kind) for s in SHAPES]
    assert all(s.runs * s.nodes <= b.runs * b.nodes for s, b in zip(SHAPES, large, strict=True))


def test_a_warm_up_is_one_small_run_of_the_same_form() -> None:
    large = next(shape for shape in shapes(quick=False) if shape.key == "long")

    assert large.warm() == large._replace(runs=1, size=10)
