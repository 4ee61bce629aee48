import base64
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from activities.contract import PluginTraits
from activities.expressions.secrets import KEY_BYTES, Keys, new_key
from stdops import SettingsError
from tests.helpers import build
from tests.helpers.flows import plan
from translator.plan import Literal, Plan, PluginRef, Ref, Subflow, Task
from translator.values import is_sealed
from workers.importing import Seals, load
from workers.secrets import KEY_FILE, sealed_plan, sealed_values, secret_inputs, secret_keys
from workers.settings import Settings, describe, load_settings
from workers.store import Store

KEYS = Keys.of(b"k" * KEY_BYTES)
TRAITS = {"echo/legacy": PluginTraits(plugin=PluginRef(code="echo"), secrets=("word",))}


def a_plan(**variables: Any) -> Plan:
    inner = build.tree(
        "start b end", variables=build.variables(build.variable("pw", "", code="password"))
    )
    return plan(
        "start a sub1 end",
        nodes=[
            build.task("a", inputs={"word": "hunter22", "other": "free", "by": "${pw}"}),
            build.subflow("sub1", inner, params={"pw": "handed"}),
        ],
        variables=[build.variable(k, raw, code="password") for k, raw in variables.items()],
    )


def opened(value: Any) -> Any:
    assert isinstance(value, Literal)
    assert is_sealed(value.value)
    return KEYS.open(value.value)


def test_values_of_secret_variables_are_sealed_at_any_depth() -> None:
    made = a_plan(pw="hunter22", obj={"tag": "custom", "value": "cipher"})

    sealed = sealed_plan(made, KEYS)

    variables = sealed.flow.variables
    assert opened(variables["pw"].value) == "hunter22"
    assert opened(variables["obj"].value) == {"tag": "custom", "value": "cipher"}
    sub = sealed.flow.nodes["sub1"]
    assert isinstance(sub, Subflow)
    assert opened(sub.params["pw"]) == "handed"
    assert "hunter22" in made.model_dump_json()
    assert sealed.digest != made.digest


def test_inputs_that_a_plugin_declares_secret_are_sealed() -> None:
    task = sealed_plan(a_plan(pw=""), KEYS, TRAITS).flow.nodes["a"]

    assert isinstance(task, Task)
    assert opened(task.inputs["word"]) == "hunter22"
    assert task.inputs["other"] == Literal(value="free")
    assert task.inputs["by"] == Ref(key="pw")


def test_a_plan_without_secrets_stays_the_same() -> None:
    made = plan("start a end", nodes=[build.task("a", inputs={"word": "x"})])

    assert sealed_plan(made, KEYS) is made
    again = sealed_plan(made, KEYS, TRAITS)
    assert sealed_plan(again, KEYS, TRAITS) is again


@pytest.mark.parametrize(
    ("value", "is_template"), [("${v}", True), ("a ${v}", True), ("a ${HOME}", False), ("", True)]
)
def test_only_what_refers_to_a_variable_stays_a_template(value: str, is_template: bool) -> None:
    made = a_plan(pw=value, v="x")

    kept = sealed_plan(made, KEYS).flow.variables["pw"].value

    assert (kept == made.flow.variables["pw"].value) is is_template


def test_given_values_are_sealed_by_name_with_or_without_braces() -> None:
    already = KEYS.seal("x")

    sealed = sealed_values(
        {"a": "x", "${b}": "y", "c": "z", "d": already, "e": "${a}"}, "abde", KEYS
    )

    assert (KEYS.open(sealed["a"]), KEYS.open(sealed["${b}"])) == ("x", "y")  # pyright: ignore[reportArgumentType]  sealed
    assert (sealed["c"], sealed["d"], sealed["e"]) == ("z", already, "${a}")


def test_names_of_secret_inputs_come_from_all_plugins() -> None:
    assert secret_inputs(TRAITS.values()) == {"word"}


def test_a_key_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    secret_keys(settings)
    assert not settings.data_dir.exists()

    sealed: Any = secret_keys(settings).seal("x")

    file = settings.data_dir / KEY_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in settings.data_dir.iterdir()] == [KEY_FILE]
    assert secret_keys(settings).open(sealed) == "x"


@pytest.mark.parametrize("text", ["", "no key", base64.b64encode(b"short").decode()])
def test_a_key_file_that_holds_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / KEY_FILE).write_text(text)

    with pytest.raises(SettingsError, match="SOP513"):
        secret_keys(Settings(data_dir=tmp_path)).seal("x")


def test_keys_of_the_environment_win_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = new_key()
    monkeypatch.setenv("STDOPS_SECRET_KEYS", base64.b64encode(raw).decode())
    settings = load_settings(data_dir=tmp_path)

    sealed: Any = secret_keys(settings).seal("x")

    assert Keys.of(raw).open(sealed) == "x"
    assert not list(tmp_path.iterdir())
    assert base64.b64encode(raw).decode() not in str(describe(settings)) + repr(settings)


def test_a_wrong_key_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STDOPS_SECRET_KEYS", "aGVsbG8=")

    with pytest.raises(SettingsError) as caught:
        load_settings()

    assert "key 1 has 5 bytes, it must have 32" in str(caught.value)
    assert "aGVsbG8" not in str(caught.value)


def test_an_import_stores_the_plan_sealed_and_again_changes_nothing() -> None:
    data = json.dumps([a_document()]).encode()

    with Store.open("sqlite://") as store:
        (first,) = load(data, "login.json", store, seals=Seals(KEYS)).templates
        stored = store.plan(first.plan_digest)
        (again,) = load(data, "login.json", store, seals=Seals(KEYS)).templates

    assert "hunter22" not in stored.model_dump_json()
    assert opened(stored.flow.variables["pw"].value) == "hunter22"
    assert (again.created, again.plan_digest) == (False, first.plan_digest)


def a_document() -> dict[str, Any]:
    def event(key: str, kind: str, incoming: Any, outgoing: Any) -> dict[str, Any]:
        return {"id": key, "type": kind, "name": "", "incoming": incoming, "outgoing": outgoing}

    constant = {"key": "${pw}", "name": "pw", "custom_type": "password", "value": "hunter22"}
    shape = {"source_type": "custom", "source_tag": "password.password", "show_type": "show"}
    component: dict[str, Any] = {"code": "sleep_timer", "version": "legacy", "data": {}}
    task: dict[str, Any] = {
        "id": "n",
        "type": "ServiceActivity",
        "name": "Sleep",
        "optional": False,
    }
    task |= {"incoming": ["f1"], "outgoing": "f2", "component": component}
    tree: dict[str, Any] = {
        "activities": {"n": task},
        "gateways": {},
        "constants": {"${pw}": {**constant, **shape, "source_info": {}, "index": 0}},
        "outputs": ["${pw}"],
        "start_event": event("s", "EmptyStartEvent", "", "f1"),
        "end_event": event("e", "EmptyEndEvent", ["f2"], ""),
        "flows": {
            key: {"id": key, "source": source, "target": target, "is_default": False}
            for key, source, target in (("f1", "s", "n"), ("f2", "n", "e"))
        },
    }
    return {"id": "t1", "name": "Login", "pipeline_tree": tree}
