"""Values: what stands in a template where a value is expected, and how it is resolved.

Pure, and shared by all packages: text to Value, the variables that it reads, and resolving
everything but an Expression, which needs the sandbox; conditions likewise.
"""

from translator.values.checking import EXPECTED, mismatch, pattern_text, shown, unholdable
from translator.values.classify import (
    MAX_DEPTH,
    SYSTEM,
    classify,
    classify_text,
    leaves,
    needs_sandbox,
    reads,
    source,
)
from translator.values.conditions import (
    MAX_NESTING,
    RuleSyntaxError,
    operands,
    parse_condition,
)
from translator.values.fragments import FRAGMENT, insides, references, texts
from translator.values.input_types import InputType, converts_to, has_type
from translator.values.patterns import verdict
from translator.values.resolving import (
    OBJECT_TEXT,
    NeedsSandbox,
    ReferenceCycle,
    as_text,
    closure,
    is_pure,
    resolve,
    resolve_all,
)
from translator.values.safety import (
    BUILTINS,
    FREE_BUILTINS,
    MODULES,
    NEVER_OFFERED,
    Checked,
    check,
    expression_problem,
)
from translator.values.sealing import (
    MASK,
    SEALED,
    holds_sealed,
    is_clear,
    is_sealed,
    without_sealed,
)
from translator.values.truth import RuleError, holds, test_text

__all__ = [
    "BUILTINS",
    "EXPECTED",
    "FRAGMENT",
    "FREE_BUILTINS",
    "MASK",
    "MAX_DEPTH",
    "MAX_NESTING",
    "MODULES",
    "NEVER_OFFERED",
    "OBJECT_TEXT",
    "SEALED",
    "SYSTEM",
    "Checked",
    "InputType",
    "NeedsSandbox",
    "ReferenceCycle",
    "RuleError",
    "RuleSyntaxError",
    "as_text",
    "check",
    "classify",
    "classify_text",
    "closure",
    "converts_to",
    "expression_problem",
    "has_type",
    "holds",
    "holds_sealed",
    "insides",
    "is_clear",
    "is_pure",
    "is_sealed",
    "leaves",
    "mismatch",
    "needs_sandbox",
    "operands",
    "parse_condition",
    "pattern_text",
    "reads",
    "references",
    "resolve",
    "resolve_all",
    "shown",
    "source",
    "test_text",
    "texts",
    "unholdable",
    "verdict",
    "without_sealed",
]
