"""Evaluates what is not pure: expressions, in a sandbox in another process, and lazy variables."""

from activities.expressions.evaluation import EvaluationError, Lazy
from activities.expressions.explain import ExpressionWarning
from activities.expressions.runner import Limits
from activities.expressions.sandbox import Sandbox

__all__ = ["EvaluationError", "ExpressionWarning", "Lazy", "Limits", "Sandbox"]
