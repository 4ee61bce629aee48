"""Failure policies of a node: automatic retry, time limit, own loop; legacy spellings."""

from typing import Final

from pydantic import JsonValue

from translator.formats.fields import Fields, bare_key, shown
from translator.plan import AutoRetry, LoopConfig, Timeout

MAX_RETRIES: Final = 10
MAX_INTERVAL_S: Final = 60
MAX_TIMEOUT_S: Final = 10 * 365 * 24 * 3600
"""Ten years; a longer limit never comes, and no clock could tell when it would."""

ACTIONS: Final = {"forced_fail": "fail", "forced_fail_and_skip": "skip"}


def auto_retry(node: Fields) -> AutoRetry | None:
    """Return the automatic retry within its bounds; a number that cannot be read is the maximum.

    Source: bk-sops auto_retry strategy creation; differs: what is changed is reported.
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
    """Return a number as bk-sops takes it: its size, cut to `most`; nothing or 0 is `default`."""
    given = policy.raw.get(name)
    number = _whole(given or default)
    counts = most if number is None else min(abs(number), most)
    if given is not None and _whole(given) != counts:
        said = "is not a number" if number is None else f"is {_shown(given)}"
        what = f"field {policy.prefix + name!r} of {policy.of} {said}, so it counts as {counts}"
        least = 0 if default == 0 else 1
        fix = f"write a whole number from {least} to {most}"
        policy.findings.warn("SOP302", f"{policy.at}/{name}", what, fix)
    return counts


def _shown(value: JsonValue) -> str:
    return shown(str(value))[1:-1]


def _whole(value: JsonValue) -> int | None:
    """Return `value` as Python's `int()` reads it, or None."""
    if not isinstance(value, int | float | str):
        return None
    try:
        return int(value)
    except (ValueError, OverflowError):
        return None


def timeout(node: Fields) -> Timeout | None:
    """Return the time limit; a negative one is over at once, other unusable ones are ignored.

    Source: bk-sops node timeout configuration, which takes any whole number but 0 and looks every
    second for what is due; differs: what is odd is reported.
    """
    policy = _enabled(node, "timeout_config")
    if policy is None:
        return None
    seconds = policy.raw.get("seconds")
    if not isinstance(seconds, int) or not 0 != seconds <= MAX_TIMEOUT_S:
        _report_timeout(policy, "is no whole number of seconds that could come: it is ignored")
        return None
    if seconds is True or seconds < 0:
        _report_timeout(policy, "counts as 1 second")
    action = policy.choice("action", tuple(ACTIONS), "forced_fail")
    return Timeout(after_s=max(seconds, 1), then="skip" if ACTIONS[action] == "skip" else "fail")


def _report_timeout(policy: Fields, happens: str) -> None:
    what = f"the time limit of {policy.of} {happens}"
    fix = "write a positive whole number in 'seconds', or disable the limit"
    policy.findings.warn("SOP303", policy.at, what, fix)


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
