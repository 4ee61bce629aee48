import builtins

import pytest

from translator.values import BUILTINS, FREE_BUILTINS, MODULES, check, expression_problem
from translator.values.safety import SHIELDED


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "${a}",
        "${a.b.c}",
        "${len(x) + 1}",
        "${'%s' % x | h,trim}",
        "${datetime.datetime.now().strftime('%Y')}",
        "${[x for x in l if x]}",
        "${max(*l)}",
        "${x\n+ y}",
    ],
)
def test_usable_fragments_have_no_problem(text: str) -> None:
    assert expression_problem(text) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("${ x}", "begins with a blank"),
        ("${x:-y}", "is not one expression"),
        ("${'x}", "is not a Python expression"),
        ("${a, b}", "is not one expression"),
        ("${*l}", "is not one expression"),
        ("${x.__class__}", "attribute '__class__'"),
        ("${x['__class__']}", "key '__class__'"),
        ("${x.f_globals}", "attribute 'f_globals'"),
        ("${os.path.os.system('id')}", "attribute"),
        ("${self.module}", "looks into 'self'"),
        ("${eval('1')}", "name 'eval'"),
        ("${hex(255)}", "name 'hex'"),
        ("${x | shout}", "filter 'shout'"),
        ("${x | decode}", "filter 'decode'"),
        ("${(yield)}", "yield"),
        ("${" + "x" * 20_000 + "}", "is longer than"),
    ],
)
def test_a_fragment_that_can_never_be_evaluated_says_why(text: str, says: str) -> None:
    assert says in (expression_problem(text) or "")


@pytest.mark.parametrize(
    "text",
    ["${s; t}", "${s;}", "${s\n;t}", "${(s, t)}", "${s, t}", "${x=1}", "${(yield)}", "${*l}"],
)
def test_what_is_no_single_argument_of_a_call_is_refused(text: str) -> None:
    assert (expression_problem(text) is None) == (text == "${(s, t)}")


@pytest.mark.parametrize("inside", ["s.__class__", " s", "s:-x", "s | shout", "__x", "(yield)"])
def test_what_is_refused_comes_with_a_cure(inside: str) -> None:
    checked = check(inside)

    assert checked.expression is None
    assert checked.problem
    assert checked.fix


def test_more_builtins_are_harmless_ones() -> None:
    assert not FREE_BUILTINS & (BUILTINS | MODULES | SHIELDED)
    assert all(name in dir(builtins) for name in FREE_BUILTINS)


def test_a_declared_variable_wins_over_a_forbidden_word() -> None:
    assert expression_problem("<${open}>", ["open"]) is None
    assert expression_problem("${a b}", ["a b"]) is None


def test_names_bound_inside_need_not_be_known() -> None:
    checked = check("[x + y for x in l] + (lambda z: [z])(1)")

    assert checked.names == {"y", "l"}


def test_unknown_names_are_those_that_nothing_offers() -> None:
    checked = check("len(a) + json.loads(b)")

    assert checked.unknown({"a"}, {"json"}) == ["b"]
    assert checked.unknown({"a", "b"}, ()) == ["json"]
