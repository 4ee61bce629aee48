"""SOP209."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.rules.context import Context, rule
from translator.values import expression_problem, insides
from translator.values.fragments import texts


@rule("SOP209", "expression can never be evaluated")
def expressions_evaluate(context: Context) -> Iterator[Diagnostic]:
    """What stands in `${...}` is an expression that the sandbox can evaluate.

    Why: one that does not parse, or uses what is not allowed, stays in the text as it is written.
    Fails: `${open('/etc/passwd')}`, `${1 +}`
    Fix: Correct the expression, or compute the value in a task and read its output.
    """
    for text in context.texts:
        for part in texts(text.value):
            plain = all(inside in context.known for inside in insides(part))
            problem = None if plain else expression_problem(part, context.known)
            if problem:
                what = f"{text.what} can never be evaluated: {problem}"
                fix = "correct the expression, or compute the value in a task"
                yield context.report("SOP209", "warning", text.at, what, fix)
