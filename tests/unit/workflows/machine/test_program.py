from tests.helpers.plans import flow, plan, subflow, task
from workflows.machine.program import lay_out

NODES = [
    task("a", {"x": "${v}", "y": "${v}"}, to={"_loop": "w", "out": "v"}, raw=("y", "z")),
    subflow("sub1", flow("sub2", nodes=[subflow("sub2", flow("n"))])),
]
PROGRAM = lay_out(plan("a sub1", nodes=NODES))


def test_every_node_and_flow_is_found_by_its_path() -> None:
    assert "sub1/sub2/n" in PROGRAM.places
    assert sorted(PROGRAM.flows) == ["", "sub1", "sub1/sub2"]
    assert PROGRAM.places["sub1/sub2"].flow_path == "sub1"


def test_inputs_are_parted_into_rendered_and_raw() -> None:
    inputs = PROGRAM.places["a"].inputs

    assert inputs is not None
    assert list(inputs.rendered) == ["x"]
    assert inputs.raw == {"y": "${v}"}
    assert [write.variable for write in inputs.counted] == ["w"]
