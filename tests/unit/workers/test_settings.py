import getpass
from pathlib import Path

import pytest
from temporalio.common import VersioningBehavior

from stdops import SettingsError, __version__
from workers.deployment import deployment_config
from workers.settings import Settings, describe, load_settings


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    settings = load_settings()

    assert settings.data_dir == tmp_path / "data" / "stdops"
    assert settings.store_url == f"sqlite:///{tmp_path}/data/stdops/store.db"
    assert (settings.task_queue, settings.timezone) == ("stdops", "Asia/Shanghai")
    assert settings.operator == getpass.getuser()


def test_without_xdg_the_data_lie_under_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))

    assert load_settings().data_dir == tmp_path / ".local" / "share" / "stdops"


def test_the_environment_wins_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "stdops.toml").write_text('in_flight = 5\ntask_queue = "file"\n')
    monkeypatch.setenv("STDOPS_TASK_QUEUE", "environment")

    settings = load_settings()

    assert (settings.task_queue, settings.in_flight) == ("environment", 5)


def test_what_is_given_wins_and_none_counts_as_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STDOPS_TASK_QUEUE", "environment")
    monkeypatch.setenv("STDOPS_LOG_LEVEL", "debug")

    settings = load_settings(task_queue="given", log_level=None)

    assert (settings.task_queue, settings.log_level) == ("given", "debug")


def test_each_value_knows_its_origin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "stdops.toml").write_text("in_flight = 5\n")
    monkeypatch.setenv("STDOPS_TASK_QUEUE", "zone-b")

    settings = load_settings(rerun_limit=7)

    origins = {one.name: one.origin for one in describe(settings)}
    assert origins["in_flight"] == "stdops.toml"
    assert origins["task_queue"] == "STDOPS_TASK_QUEUE"
    assert origins["rerun_limit"] == "given"
    assert origins["timezone"] == "default"


def test_a_named_file_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text('[plugin_queues]\n"job_*" = "zone-b"\n')
    monkeypatch.setenv("STDOPS_CONFIG", str(file))

    settings = load_settings()

    assert settings.plugin_queues == {"job_*": "zone-b"}
    assert settings.origin_of("plugin_queues") == str(file)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("STDOPS_TASK_QUEU", "'STDOPS_TASK_QUEUE'"), ("STDOPS_LOG_JSN", "'STDOPS_LOG_JSON'")],
)
def test_an_unknown_variable_is_refused_with_what_was_meant(
    monkeypatch: pytest.MonkeyPatch, name: str, hint: str
) -> None:
    monkeypatch.setenv(name, "1")

    with pytest.raises(SettingsError, match="SOP510") as caught:
        load_settings()

    assert f"did you mean {hint}?" in caught.value.what


def test_an_unknown_key_in_the_file_is_refused_with_what_was_meant(tmp_path: Path) -> None:
    (tmp_path / "stdops.toml").write_text("in_fligt = 5\n")

    with pytest.raises(SettingsError, match=r"SOP510 unknown setting 'in_fligt'.*'in_flight'"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("in_flight = 0", "SOP511", "'in_flight'"),
        ('timezone = "Asia/Shanghia"', "SOP511", "did you mean 'Asia/Shanghai'"),
        ('log_level = "loud"', "SOP511", "'log_level'"),
        ("in_flight =", "SOP512", "not valid TOML"),
    ],
    ids=["range", "zone", "choice", "toml"],
)
def test_a_wrong_file_is_said_with_its_place(
    tmp_path: Path, text: str, code: str, says: str
) -> None:
    (tmp_path / "stdops.toml").write_text(text)

    with pytest.raises(SettingsError) as caught:
        load_settings()

    assert (caught.value.code, caught.value.where) == (code, "stdops.toml")
    assert says in caught.value.what


def test_a_named_file_that_is_missing_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STDOPS_CONFIG", str(tmp_path / "none.toml"))

    with pytest.raises(SettingsError, match="SOP512 settings file cannot be read"):
        load_settings()


def test_queues_that_are_no_json_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STDOPS_PLUGIN_QUEUES", "job_*=zone-b")

    with pytest.raises(SettingsError, match="SOP511 a setting in the environment"):
        load_settings()


def test_the_first_pattern_that_matches_routes_a_plugin() -> None:
    settings = Settings(plugin_queues={"job_push": "a", "job_*": "b"})

    assert [settings.queue_of(code) for code in ("job_push", "job_run", "sleep")] == ["a", "b", ""]


def test_a_password_in_an_address_is_not_shown() -> None:
    settings = Settings(store_url="postgresql+psycopg://ops:hunter2@db/stdops")

    shown = {one.name: one.value for one in describe(settings)}

    assert shown["store_url"] == "postgresql+psycopg://ops:***@db/stdops"


def test_every_setting_says_what_it_means() -> None:
    assert all(one.meaning for one in describe(Settings()))


def test_a_project_stands_in_a_table_of_the_file(tmp_path: Path) -> None:
    text = '[project]\nproject_name = "Shop"\n[project.env]\nregion = "sz"\n'
    (tmp_path / "stdops.toml").write_text(text)

    assert load_settings().project == {"project_name": "Shop", "env": {"region": "sz"}}


def test_a_project_in_the_environment_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STDOPS_PROJECT", '{"bk_biz_id": 2}')

    assert load_settings().project == {"bk_biz_id": 2}


@pytest.mark.parametrize(
    "text",
    ["[project]\nenv = 1\n", "[project]\nproject_id = [1]\n", "[project]\nday = 2026-01-31\n"],
)
def test_a_project_that_cannot_be_used_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "stdops.toml").write_text(text)

    with pytest.raises(SettingsError, match="setting 'project' is wrong") as refused:
        load_settings()

    assert refused.value.code == "SOP511"


def test_temporals_own_variables_name_the_version_of_a_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEMPORAL_DEPLOYMENT_NAME", "ops")
    monkeypatch.setenv("TEMPORAL_WORKER_BUILD_ID", "7")
    monkeypatch.setenv("STDOPS_BUILD_ID", "8")

    settings = load_settings()

    assert (settings.deployment_name, settings.build_id) == ("ops", "8")
    assert settings.origin_of("deployment_name") == "TEMPORAL_DEPLOYMENT_NAME"
    assert settings.origin_of("build_id") == "STDOPS_BUILD_ID"


@pytest.mark.parametrize("name", ["a.b", "a:b"])
def test_a_deployments_name_is_one_that_temporal_takes(name: str) -> None:
    with pytest.raises(SettingsError, match="neither"):
        load_settings(deployment_name=name)


def test_a_worker_without_a_deployment_is_unversioned() -> None:
    assert deployment_config(Settings()) is None


def test_a_build_is_named_by_stdops_unless_it_is_set() -> None:
    config = deployment_config(Settings(deployment_name="ops", versioning="pinned"))

    assert config is not None
    assert (config.version.build_id, config.use_worker_versioning) == (__version__, True)
    assert config.default_versioning_behavior is VersioningBehavior.PINNED
