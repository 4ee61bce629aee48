"""Failure policies of a node: automatic retry, time limit, own loop; legacy spellings."""

from typing import Final

from pydantic import JsonValue

from translator.formats.fields import Fields, bare_key
from translator.plan import AutoRetry, LoopConfig, Timeout

MAX_RETRIES: Final = 10
MAX_INTERVAL_S: Final = 60
ACTIONS: Final = {"forced_fail": "fail", "forced_fail_and_skip": "skip"}


def auto_retry(node: Fields) -> AutoRetry | None:
    """Return the automatic retry, clamped; a number that cannot be read is the maximum.

    Source: bk-sops auto_retry strategy creation.
    """
    policy = _enabled(node, "auto_retry")
    if policy is None:
        return None
    return AutoRetry(
        times=_clamped(policy, "times", MAX_RETRIES, MAX_RETRIES),
        interval_s=_clamped(policy, "interval", 0, MAX_INTERVAL_S),
    )


def _enabled(node: Fields, name: str) -> Fields | None:
    """Return the fields of a policy that is there and switched on."""
    raw = node.raw.get(name)
    if raw is None or (isinstance(raw, dict) and not raw.get("enable")):
        return None
    policy = node.part(name)
    return policy if policy.flag("enable", default=False) else None


def _clamped(policy: Fields, name: str, default: int, most: int) -> int:
    number = _whole(policy.raw.get(name) or default)
    if number is None:
        what = (
            f"field {policy.prefix + name!r} of {policy.of} is not a number, so it counts as {most}"
        )
        policy.findings.warn("SOP007", f"{policy.at}/{name}", what, "write a whole number")
        return most
    return min(abs(number), most)


def _whole(value: JsonValue) -> int | None:
    """Return `value` as Python's `int()` reads it, or None."""
    if not isinstance(value, int | float | str):
        return None
    try:
        return int(value)
    except (ValueError, OverflowError):
        return None


def timeout(node: Fields) -> Timeout | None:
    """Return the time limit; one without a positive whole number of seconds is ignored.

    Source: bk-sops node timeout configuration, which ignores in silence.
    """
    policy = _enabled(node, "timeout_config")
    if policy is None:
        return None
    seconds = policy.raw.get("seconds")
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds <= 0:
        what = f"the time limit of {node.of} has no positive whole number of seconds: it is ignored"
        policy.findings.warn("SOP007", policy.at, what, "write a whole number in 'seconds'")
        return None
    action = policy.choice("action", tuple(ACTIONS), "forced_fail")
    return Timeout(after_s=seconds, then="skip" if ACTIONS[action] == "skip" else "fail")


def loop(node: Fields) -> LoopConfig | None:
    """Return how a node repeats itself (`loop_config` of engine 3)."""
    policy = _enabled(node, "loop_config")
    if policy is None:
        return None
    times = policy.number("loop_times", 0)
    if times < 1:
        what = f"'loop_times' of {node.of} is not a positive whole number"
        policy.findings.error("SOP007", policy.at, what, "write how often the node runs")
        return None
    return LoopConfig(
        times=times,
        fail_skip=policy.flag("fail_skip", default=False),
        retryable=policy.flag("retryable", default=False),
        skippable=policy.flag("skippable", default=False),
        outputs_key=bare_key(policy.text("outputs_key")) or None,
    )


def old_or_new_flag(node: Fields, name: str, old_name: str) -> bool:
    """Return a flag that older templates spell `old_name`; true when it is not there."""
    known = name if node.raw.get(name) is not None else old_name
    return node.flag(known, default=True)
