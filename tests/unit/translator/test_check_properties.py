from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from tests.helpers.build import subflow, task, template, tree, value
from translator.check import check
from translator.graph import match_gateways, validate_tree
from translator.template import SourceVariable, Tree

NAMES = ["start", "a", "b", "xor1", "xor2", "fork1", "fork2", "some1", "join1", "join2", "end"]
TEXTS: list[JsonValue] = ["", "${a}", "${b}x", "${a.c}", "${1 +}", "plain", ["${b}"], {"k": "${c}"}]

chains = st.lists(
    st.lists(st.sampled_from(NAMES), min_size=2, max_size=5).map(" ".join), min_size=1, max_size=12
)


@st.composite
def trees(draw: st.DrawFn, depth: int = 1) -> Tree:
    texts = st.sampled_from(TEXTS)
    keys = st.sampled_from(["a", "b", "c", "bad key"])
    values = draw(st.dictionaries(keys, texts, max_size=4))
    sources = draw(st.lists(st.tuples(st.sampled_from(NAMES), st.just("out")), max_size=2))
    variables = {
        key: SourceVariable(key, value(raw), f"/constants/{key}") for key, raw in values.items()
    }
    variables["out"] = SourceVariable("out", None, "/constants/out", tuple(sources))
    nodes = [task("a", inputs={"x": draw(texts), "y": "${out}"})]
    inner = draw(trees(depth=depth - 1)) if depth else None
    return tree(
        *draw(chains),
        nodes=[*nodes, subflow("b", inner)],
        conditions={"xor1-a": str(draw(texts))},
        variables=variables,
        outputs=draw(st.lists(keys, max_size=2)),
    )


@settings(max_examples=60, deadline=None)
@given(trees())
def test_check_never_raises(found: Tree) -> None:
    for each in check(template(found)):
        assert each.what
        assert each.fix


@settings(max_examples=200, deadline=None)
@given(chains)
def test_every_gateway_gets_an_answer(given_chains: list[str]) -> None:
    found = tree(*given_chains)

    openings = {key for key, gateway in found.gateways.items() if gateway.kind != "converge"}

    assert set(match_gateways(found).converge) == openings


@settings(max_examples=200, deadline=None)
@given(chains)
def test_an_accepted_tree_has_a_converge_for_every_fork(given_chains: list[str]) -> None:
    found = tree(*given_chains)

    if not validate_tree(found):
        converge = match_gateways(found).converge
        forks = [key for key in found.gateways if key.startswith(("fork", "some"))]
        ends = [converge[key] for key in forks if found.gateways[key].outgoing]
        assert all(ends)
        assert len(set(ends)) == len(ends)
