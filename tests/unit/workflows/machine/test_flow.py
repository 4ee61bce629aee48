from tests.helpers.plans import flow, plan, settings, subflow, variable
from tests.helpers.runs import Run
from workflows.machine.events import Entered


def test_a_fork_starts_all_branches_and_waits_for_each() -> None:
    run = Run(plan("fork1 a join1", "fork1 b join1", "join1 c"))
    assert run.calling == ["a", "b"]

    run.answer("b")
    assert run.calling == ["a"]

    run.answer("a")
    assert run.calling == ["c"]


def test_a_converge_waits_only_for_the_branches_that_were_forked() -> None:
    chains = ("some1 a join1", "some1 b join1", "some1 c join1", "join1 d")
    holding = {"some1-a": "1 == 1", "some1-b": "1 == 2", "some1-c": "1 == 1"}
    run = Run(plan(*chains, conditions=holding))

    run.answer("a")
    run.answer("c")

    assert run.calling == ["d"]
    assert run.status("b") == "not reached"


def test_two_edges_to_one_node_make_one_branch() -> None:
    run = Run(plan("fork1 a join1", "fork1 a", "join1 end"))

    assert run.calling == ["a"]
    assert run.state.tokens["0"].pending == 1


def test_an_empty_branch_arrives_at_once() -> None:
    run = Run(plan("fork1 join1", "fork1 a join1", "join1 end"))

    assert run.state.tokens["0"].pending == 1


def test_forks_nest() -> None:
    chains = ("fork1 a join1", "fork1 fork2 b join2", "fork2 c join2", "join2 d join1", "join1 end")
    run = Run(plan(*chains))
    assert run.calling == ["a", "b", "c"]

    for path in ("a", "c", "b", "d"):
        assert run.status() == "running"
        run.answer(path)

    assert run.status() == "finished"
    assert run.state.tokens == {}


def test_a_converge_runs_once() -> None:
    run = Run(plan("fork1 a join1", "fork1 b join1", "join1 end"))

    run.answer("a")
    run.answer("b")

    entered = [each.path for each in run.traces if isinstance(each, Entered)]
    assert entered.count("join1") == 1


def test_a_failed_branch_holds_the_converge_and_nothing_else() -> None:
    run = Run(plan("fork1 a join1", "fork1 b c join1", "join1 end"))
    run.lose("a")

    run.answer("b")
    run.answer("c")
    assert run.status() == "running"

    run.do("retry", "a")
    run.answer("a")
    assert run.status() == "finished"


def back_edge(limit: int = 100) -> Run:
    again = {"xor1-a": "${v} == 1"}
    flow_of = plan("a xor1 a", "xor1 end", variables=[variable("v", 1)], conditions=again)
    return Run(flow_of, settings(rerun_limit=limit))


def test_a_back_edge_counts_passes_and_ends_when_its_condition_does() -> None:
    run = back_edge()
    run.answer("a")
    assert run.step("a").loop == 2
    run.do("set_variables", values={"v": 0})

    run.answer("a")

    assert run.status() == "finished"


def test_a_node_over_the_rerun_limit_fails_and_takes_no_slot() -> None:
    run = back_edge(limit=2)

    for _ in range(3):
        run.answer("a")

    assert run.state.failed == {"a": "node execution exceed rerun limit 2"}
    assert run.state.executing == 0


def test_a_node_over_the_limit_runs_once_more_when_it_is_retried() -> None:
    run = back_edge(limit=1)
    run.answer("a")
    run.answer("a")

    run.do("retry", "a")

    assert run.started == [("a", 1), ("a", 2), ("a", 3)]


def test_the_inner_loop_of_a_node_begins_anew_with_its_subflow() -> None:
    inner = flow("n xor2 n", "xor2 end", conditions={"xor2-n": "1 == 2"})
    chains = ("sub1 xor1 sub1", "xor1 end")
    run = Run(plan(*chains, nodes=[subflow("sub1", inner)], conditions={"xor1-sub1": "1 == 1"}))

    run.answer("sub1/n")

    assert (run.step("sub1/n").loop, run.step("sub1/n").inner_loop) == (2, 1)


def test_a_retry_counts_no_pass_and_a_new_pass_forgets_the_retries() -> None:
    run = back_edge()
    run.lose("a")
    run.do("retry", "a")
    assert (run.step("a").loop, run.state.nodes["a"].retry) == (1, 1)

    run.answer("a")

    assert (run.step("a").loop, run.state.nodes["a"].retry) == (2, 0)


def test_a_token_that_arrives_is_not_held_by_a_pause_but_the_converge_is() -> None:
    run = Run(plan("fork1 a join1", "fork1 b join1", "join1 c"))
    run.do("pause")

    run.answer("a")
    run.answer("b")

    assert run.state.tokens["0"].held_by == ""
    assert list(run.state.tokens) == ["0"]


def test_held_tokens_are_freed_in_the_order_in_which_they_were_held() -> None:
    run = Run(plan("fork1 a x join1", "fork1 b y join1", "join1 end"))
    run.do("pause")
    run.answer("b")
    run.answer("a")

    run.reload()
    run.do("resume")

    assert run.calling == ["y", "x"]
