"""What text must look like where a component reads more than text: for the checks at import.

By an input's name, which means the same in all components that have it. A pattern may fit anywhere
in the text, as in a JSON Schema; the components themselves read as leniently as the real ones.
"""

from collections.abc import Mapping
from typing import Final

NUMBER: Final = r"^\s*[+-]?\d*\s*$"
"""A whole number, or nothing: a form may hold it as a number or as text."""

_MOMENT: Final = r"^\s*(\d{4}-\d{1,2}-\d{1,2} \d{1,2}:\d{1,2}:\d{1,2})?\s*$"
_CRON: Final = r"^\s*(\S+\s+){4,5}\S+\s*$"
_HOSTS: Final = r"\d{1,3}(\.\d{1,3}){3}|[0-9a-fA-F]{0,4}:[0-9a-fA-F]{0,4}:|^[\d\s,;]*$"

PATTERNS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "all_biz_cc_id",
            "biz_cc_id",
            "bk_biz_id",
            "cc_set_template",
            "job_cron_job_id",
            "job_plan_id",
            "job_script_timeout",
            "job_success_id",
            "job_task_id",
            "job_timeout",
            "nodemgr_biz_id",
        ),
        NUMBER,
    ),
    **dict.fromkeys(
        (
            "bk_alarm_end_time",
            "bk_alarm_shield_begin_time",
            "bk_alarm_shield_end_time",
            "bk_alarm_shield_strategy_begin_time",
            "bk_alarm_shield_strategy_end_time",
        ),
        _MOMENT,
    ),
    **dict.fromkeys(
        (
            "cc_host_ip",
            "cc_ip_list",
            "job_ip_list",
            "job_target_ip",
            "job_target_ip_list",
            "nodeman_host_ip",
        ),
        _HOSTS,
    ),
    "job_cron_expression": _CRON,
}
"""Per input a regular expression that finds something in every usable text."""
