import pytest

from tests.helpers.plans import flow, plan, subflow, task
from workflows.machine.addressing import Unclear, find_failed, find_node
from workflows.machine.program import lay_out

INNER = flow("inner both", nodes=[task("inner"), task("both")])
PROGRAM = lay_out(plan("alpha beta both sub1", nodes=[subflow("sub1", INNER)]))


@pytest.mark.parametrize(
    ("named", "path"),
    [
        ("", ""),
        ("alpha", "alpha"),
        ("both", "both"),
        ("sub1/both", "sub1/both"),
        ("inner", "sub1/inner"),
        ("ALPHA", "alpha"),
        ("alp", "alpha"),
        ("inn", "sub1/inner"),
    ],
    ids=["run", "id", "path first", "path", "id inside", "name", "beginning", "beginning inside"],
)
def test_a_node_is_found_by_path_id_name_or_beginning(named: str, path: str) -> None:
    assert find_node(PROGRAM, named) == path


def test_a_name_that_fits_several_nodes_lists_them() -> None:
    found = find_node(PROGRAM, "BOTH")

    assert isinstance(found, Unclear)
    assert found.candidates == ("both", "sub1/both")
    assert found.text.startswith("'BOTH' fits 2 nodes: ")


def test_a_name_that_fits_nothing_says_what_may_have_been_meant() -> None:
    found = find_node(PROGRAM, "alhpa")

    assert found == Unclear("no node is called 'alhpa'; did you mean alpha (ALPHA)?", ("alpha",))


def test_a_name_like_none_is_just_unknown() -> None:
    assert find_node(PROGRAM, "zzz") == Unclear("no node is called 'zzz'", ())


def test_a_long_list_is_cut_short() -> None:
    many = lay_out(plan(" ".join(f"n{at}" for at in range(9))))
    found = find_node(many, "n")

    assert isinstance(found, Unclear)
    assert found.text.endswith(" and 4 more")


def test_a_verb_without_a_node_means_the_only_failed_one() -> None:
    program = lay_out(plan("a b"))

    assert find_failed(program, ["b"]) == "b"


@pytest.mark.parametrize(
    ("failed", "said"),
    [([], "no node has failed"), (["a", "b"], "2 nodes have failed, name one: a (A), b (B)")],
)
def test_a_verb_without_a_node_is_refused_where_none_or_several_failed(
    failed: list[str], said: str
) -> None:
    unclear = find_failed(lay_out(plan("a b")), failed)

    assert isinstance(unclear, Unclear)
    assert unclear.text.startswith(said)
