"""Evaluates what is not pure: expressions, in a sandbox in another process, and lazy variables."""

from activities.expressions.sandbox import EvaluationError, Lazy, Limits, Sandbox

__all__ = ["EvaluationError", "Lazy", "Limits", "Sandbox"]
