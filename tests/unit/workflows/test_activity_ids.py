"""What activities are called, and what their names mean."""

import pytest

from workflows.activity_ids import ActivityName, read_activity_id


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a:1", ActivityName("a", 1)),
        ("sub/a:12", ActivityName("sub/a", 12)),
        ("a:2:poll17", ActivityName("a", 2, "poll")),
        ("a:2:evaluate3", ActivityName("a", 2, "evaluate")),
        ("a:1+15", ActivityName("a", 1, more=15)),
        ("a:b:1", ActivityName("a:b", 1)),
        ("a\nb:1", ActivityName("a\nb", 1)),
        ("load_plan", None),
        ("a:x", None),
    ],
)
def test_an_id_names_node_execution_step_and_followers(
    text: str, named: ActivityName | None
) -> None:
    assert read_activity_id(text) == named
