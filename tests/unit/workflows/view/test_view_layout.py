from tests.unit.workflows.view.view_plans import NOW, chain, flow, plan, release, stand, task, ways
from translator.plan import Converge, End, Exclusive, Flow, Parallel, Plan, Start, Subflow
from workflows.machine.state import Live, NodeState, RunState
from workflows.machine.view.blocks import Fold, Fork, Frame, Item, Jump, Leaf, blocks
from workflows.machine.view.fold import LEVELS, Level, fold, fold_text, trim
from workflows.machine.view.layout import layout
from workflows.machine.view.measure import WIDTH
from workflows.machine.view.signs import view_of


def outline(items: tuple[Item, ...]) -> list[object]:
    """Blocks as nested lists: a leaf is its id, a fork its id and lanes, a jump `->` its target."""
    result: list[object] = []
    for item in items:
        match item:
            case Leaf():
                result.append(item.path)
            case Fork():
                result.append((item.path, [outline(lane.items) for lane in item.lanes]))
            case Frame():
                result.append([item.path, *outline(item.items)])
            case Jump():
                result.append(("^" if item.back else ">") + item.target)
            case Fold():
                result.append(fold_text(item))
    return result


def test_lanes_end_where_they_meet() -> None:
    shape = plan(
        Parallel(id="p", branches=ways("a", "b"), converge="c"),
        task("a", "c"),
        task("b", "c"),
        Converge(id="c", next="end"),
    )

    assert outline(blocks(shape.flow)) == ["start", ("p", [["a"], ["b"]]), "c", "end"]


def test_an_early_exit_stands_beside_the_main_line() -> None:
    shape = plan(
        Exclusive(id="g", branches=ways("a", "end")),
        task("a", "b"),
        task("b", "end"),
    )

    assert outline(blocks(shape.flow)) == ["start", ("g", [[], [">end"]]), "a", "b", "end"]


def test_many_early_exits_do_not_nest() -> None:
    gates = [
        node
        for at in range(30)
        for node in (
            task(f"t{at}", f"g{at}"),
            Exclusive(id=f"g{at}", branches=ways(f"t{at + 1}", "end")),
        )
    ]
    shape = plan(*gates, task("t30", "end"))

    assert len(outline(blocks(shape.flow))) == 63


def test_a_way_back_is_a_jump() -> None:
    shape = plan(task("a", "g"), Exclusive(id="g", branches=ways("b", "a")), task("b", "end"))

    assert outline(blocks(shape.flow)) == ["start", "a", ("g", [[], ["^a"]]), "b", "end"]


def test_crossing_branches_place_each_node_once() -> None:
    shape = plan(
        Exclusive(id="g", branches=ways("a", "b")),
        task("a", "h"),
        Exclusive(id="h", branches=ways("c", "b")),
        task("b", "c"),
        task("c", "end"),
    )

    assert outline(blocks(shape.flow)) == [
        "start",
        ("g", [["a", ("h", [[], ["b"]])], [">b"]]),
        "c",
        "end",
    ]


def test_forks_nested_beyond_reason_are_drawn_in_line() -> None:
    deep = 60
    opens = [
        Parallel(id=f"p{at}", branches=ways(f"p{at + 1}", f"x{at}"), converge=f"c{at}")
        for at in range(deep)
    ]
    sides = [task(f"x{at}", f"c{at}") for at in range(deep)]
    closes = [Converge(id=f"c{at}", next=f"c{at - 1}" if at else "end") for at in range(deep)]
    shape = plan(*opens, task(f"p{deep}", f"c{deep - 1}"), *sides, *closes)

    assert len(layout(shape).boxes) == len(shape.flow.nodes)


def test_a_flow_without_its_start_draws_nothing() -> None:
    empty = Plan(template_key="t", flow=Flow(start="none", nodes={"end": End(id="end")}))

    assert layout(empty).boxes == []


def test_three_boxes_fill_the_width_of_the_page() -> None:
    placed = layout(release())

    assert (placed.width, placed.box_width) == (WIDTH, 196)


def test_more_branches_get_smaller_boxes() -> None:
    lanes = [f"w{at}" for at in range(5)]
    shape = plan(
        Parallel(id="p", branches=ways(*lanes), converge="c"),
        *(task(key, "c") for key in lanes),
        Converge(id="c", next="end"),
    )

    placed = layout(shape)

    assert placed.width == WIDTH
    assert placed.box_width == 106


def test_a_loop_runs_right_of_what_it_passes() -> None:
    placed = layout(release())

    loop = next(line for line in placed.lines if line.loop)
    frame = placed.frames[0]

    assert (loop.source, loop.target) == ("x1", "sub1")
    assert all(x >= frame.x + frame.width for x, _ in loop.corners[1:])


def test_a_loop_inside_a_branch_stays_beside_it() -> None:
    shape = plan(
        Parallel(id="p", branches=ways("a", "b"), converge="c"),
        task("a", "g"),
        Exclusive(id="g", branches=ways("c", "a")),
        task("b", "c"),
        Converge(id="c", next="end"),
    )

    placed = layout(shape)

    loop = next(line for line in placed.lines if line.loop)
    right = next(box for box in placed.boxes if box.path == "b")
    assert max(x for x, _ in loop.corners) < right.x


def test_a_frame_holds_its_nodes() -> None:
    placed = layout(release())

    frame = placed.frames[0]
    inside = [box for box in placed.boxes if box.path.startswith("sub1/")]

    assert len(inside) == 4
    assert all(frame.x < box.x and box.y + box.height < frame.y + frame.height for box in inside)


def busy_chain(at: int) -> RunState:
    state = RunState(started=NOW - 100)
    stand(state, ["start", *(f"n{number}" for number in range(at))])
    state.nodes[f"n{at}"] = NodeState(status="running", entry=1, since=NOW - 5)
    state.live[f"n{at}"] = Live(phase="calling")
    return state


def test_a_fold_keeps_the_neighbourhood_of_what_runs() -> None:
    view = view_of(busy_chain(10), NOW)

    folded = fold(blocks(chain(20).flow), view, Level(1, 5))

    assert outline(folded) == ["✓ 9 done", "n9", "n10", "n11", "○ 8 to go"]


def test_a_run_that_is_over_keeps_both_ends() -> None:
    state = RunState()
    stand(state, ["start", *(f"n{at}" for at in range(20)), "end"])

    folded = fold(blocks(chain(20).flow), view_of(state, NOW), Level(1, 5))

    assert outline(folded) == ["start", "n0", "✓ 18 done", "n19", "end"]


def test_cold_branches_fold_into_one() -> None:
    lanes = [f"w{at}" for at in range(40)]
    shape = plan(
        Parallel(id="p", branches=ways(*lanes), converge="c"),
        *(task(key, "c") for key in lanes),
        Converge(id="c", next="end"),
    )
    state = RunState()
    stand(state, ["start", "p", *lanes])
    state.failed["w33"] = "no"
    state.nodes["w33"].status = "failed"

    fork = fold(blocks(shape.flow), view_of(state, NOW), LEVELS[0])[1]

    assert isinstance(fork, Fork)
    assert fork.lanes[3].items == (Leaf("w33", shape.flow.nodes["w33"]),)
    assert outline(fork.lanes[-1].items) == ["✓ 36 done"]
    assert fork.lanes[-1].label == "36 more"


def test_a_cold_subflow_folds_under_its_name() -> None:
    inner = flow(task("a", "b"), task("b", "end"))
    shape = plan(Subflow(id="s", name="分批", next="t", flow=inner), task("t", "end"))
    state = RunState()
    stand(state, ["start", "s", "s/a", "s/b"])
    state.live["t"] = Live()
    state.nodes["t"] = NodeState(status="running", entry=1)

    assert outline(fold(blocks(shape.flow), view_of(state, NOW), Level(2, 5)))[1] == "✓ ▸分批 · 2"


def test_borders_of_subflows_show_only_when_something_happens_there() -> None:
    shape = plan(Subflow(id="s", next="end", flow=flow(task("a", "end"))))
    state = RunState()
    state.failed["s/start"] = "inputs cannot be rendered"

    assert outline(trim(blocks(shape.flow), view_of(None, 0)))[1] == ["s", "s/a"]
    assert outline(trim(blocks(shape.flow), view_of(state, NOW)))[1] == ["s", "s/start", "s/a"]


def test_start_stands_first() -> None:
    first = layout(chain(1)).boxes[0]

    assert isinstance(first.node, Start)
    assert first.kind == "dot"
