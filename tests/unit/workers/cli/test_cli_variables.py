from typing import Any

import pytest

from stdops import StdopsError
from workers.cli.variables import show
from workers.cli.wiring import check_project

ANSWER: dict[str, Any] = {
    "flows": [
        {
            "path": "",
            "variables": [
                {
                    "key": "v",
                    "name": "Version",
                    "kind": "plain",
                    "value": {"a": "中文"},
                    "source": "output",
                    "writer": "build",
                    "written_at": 1000,
                },
                {"key": "pw", "kind": "plain", "value": "******", "source": "template"},
            ],
        },
        {"path": "sub", "name": "Roll out", "variables": []},
    ]
}


def test_each_flow_is_a_table_with_value_and_origin(capsys: pytest.CaptureFixture[str]) -> None:
    show(ANSWER)

    out = capsys.readouterr().out
    (row,) = (line for line in out.splitlines() if line.startswith("v "))
    assert '{"a": "中文"}' in row
    assert "output of build" in row
    assert "subflow Roll out (sub)" in out


def test_a_run_that_is_loading_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    show({})

    assert "loading its plan" in capsys.readouterr().err


def test_a_project_that_cannot_be_used_is_refused_with_all_that_is_wrong() -> None:
    with pytest.raises(StdopsError, match=r"project_id.*env") as refused:
        check_project({"project_id": [], "env": 1}, None)

    assert refused.value.code == "SOP220"


def test_a_sound_project_passes() -> None:
    check_project({"project_id": 1, "env": {"region": "sz"}}, None)
