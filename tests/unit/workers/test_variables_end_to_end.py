"""Every kind of variable from a web template to what a plugin gets, in the real sandbox."""

import json
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import JsonValue

from activities.builtin.variables import transform
from activities.contract import Done, Outcome, PluginTraits, RunSettings
from activities.expressions import EvaluationError, Sandbox
from translator.compile import compile_template
from translator.parse import parse
from translator.plan import PluginRef
from workers.simulate import VirtualRun
from workflows.inputs import read_inputs
from workflows.machine.events import Evaluate, Evaluated, RunTask
from workflows.machine.machine import Given, Machine
from workflows.system import RunFacts, system_of

NOON = datetime(2026, 3, 4, 4, 6, 7, tzinfo=UTC)  # 12:06:07 in Shanghai
PLUGIN = PluginRef(code="echo")
SETTINGS = RunSettings(
    traits={"echo/legacy": PluginTraits(plugin=PLUGIN)},
    project={"project_name": "Shop", "env": {"region": "sz"}},
)

Json = dict[str, Any]


@pytest.fixture(scope="module")
async def sandbox() -> AsyncGenerator[Sandbox]:
    async with Sandbox() as opened:
        yield opened


def constant(key: str, value: JsonValue = "", **more: Any) -> Json:
    """A constant as the web editor stores it, shown and written by hand unless `more` says so."""
    given: Json = {
        "key": f"${{{key}}}",
        "name": key,
        "index": 0,
        "show_type": "show",
        "source_type": "custom",
        "source_tag": "",
        "source_info": {},
        "custom_type": "input",
        "value": value,
        "validation": "",
    }
    return {**given, **more}


def output(key: str, node: str, field: str) -> Json:
    source: Json = {"source_type": "component_outputs", "source_info": {node: [field]}}
    return constant(key, custom_type="", **source)


def field(value: JsonValue, **more: Any) -> Json:
    return {"hook": False, "need_render": True, "value": value, **more}


def activity(inputs: Mapping[str, JsonValue | Json]) -> Json:
    data = {k: v if isinstance(v, dict) and "hook" in v else field(v) for k, v in inputs.items()}
    return {"type": "ServiceActivity", "component": {"code": "echo", "data": data}}


def tree(*constants: Json, outputs: tuple[str, ...] = (), **nodes: Json) -> Json:
    """A web tree that runs its nodes one after another."""
    names = ["start", *nodes, "end"]
    flows = {
        f"f{number}": {"id": f"f{number}", "source": names[number], "target": names[number + 1]}
        for number in range(len(names) - 1)
    }
    last = f"f{len(nodes)}"
    ends = [("start", "", "f0", "EmptyStartEvent"), ("end", last, "", "EmptyEndEvent")]
    start, end = (
        {"id": name, "name": "", "type": kind, "incoming": incoming, "outgoing": outgoing}
        for name, incoming, outgoing, kind in ends
    )
    placed = {
        name: {"id": name, "name": name, "incoming": f"f{n}", "outgoing": f"f{n + 1}", **node}
        for n, (name, node) in enumerate(nodes.items())
    }
    return {
        "start_event": start,
        "end_event": end,
        "activities": placed,
        "gateways": {},
        "flows": flows,
        "constants": {each["key"]: each for each in constants},
        "outputs": [f"${{{key}}}" for key in outputs],
    }


def sub(inner: Json) -> Json:
    return {"type": "SubProcess", "template_id": "t", "version": "v", "pipeline": inner}


class Played:
    """A run of a web tree: what each plugin got, by the node's path, and how it ended."""

    def __init__(self, sandbox: Sandbox, made: Json, answers: Mapping[str, Json]) -> None:
        (template,) = parse(json.dumps(made).encode(), "t.json").templates
        self.plan = compile_template(template)
        self.got: dict[str, dict[str, JsonValue]] = {}
        self.now = NOON
        self._sandbox, self._answers = sandbox, answers
        self.run = VirtualRun(Machine(self.plan, SETTINGS), self._perform, self._resolve)

    async def play(self, given: Mapping[str, JsonValue]) -> None:
        inputs = read_inputs(self.plan.flow, given)
        assert inputs.problems == ()
        facts = RunFacts("t-1", "ann", NOON.timestamp())
        known = system_of(self.plan, SETTINGS, {}, facts)
        self.run.begin(Given(known.root, inputs.variables, known.inherited, known.context))
        self.run.go()
        await self.run.run()

    async def _lazy(self, code: str, value: JsonValue) -> JsonValue:
        return transform(code, value, now=self.now)

    async def _perform(self, step: RunTask) -> Outcome:
        rendered = await self._sandbox.evaluate(step.unresolved, self._lazy)
        self.got[step.path] = {**step.inputs, **rendered}
        self.now = self.now.replace(second=self.now.second + 1)
        return Done(outputs=self._answers.get(step.path, {}))

    async def _resolve(self, asked: Evaluate) -> Evaluated:
        try:
            values = await self._sandbox.evaluate(asked.unresolved, self._lazy)
        except EvaluationError as error:
            return Evaluated(asked.path, asked.entry, {}, str(error))
        return Evaluated(asked.path, asked.entry, values)


async def play(
    sandbox: Sandbox,
    made: Json,
    answers: Mapping[str, Json] | None = None,
    given: Mapping[str, JsonValue] | None = None,
) -> Played:
    played = Played(sandbox, made, answers or {})
    await played.play(given or {})
    return played


async def shown(
    sandbox: Sandbox, text: JsonValue, *constants: Json, **given: JsonValue
) -> JsonValue:
    """What a plugin gets for an input with `text`."""
    played = await play(sandbox, tree(*constants, a=activity({"x": text})), given=given)
    return played.got["a"]["x"]


OPTIONS = json.dumps([{"text": "One", "value": "1"}, {"text": "Two", "value": "2"}])
FORM: Json = {"datasource": "0", "items_text": OPTIONS, "type": "0", "default": "2"}
ROWS: JsonValue = [{"ip": "10.0.0.1", "port": "80"}, {"ip": "10.0.0.2", "port": "81"}]


@pytest.mark.parametrize("show_type", ["show", "hide"])
@pytest.mark.parametrize("custom_type", ["input", "textarea", "datetime", "int", "of_nobody", ""])
async def test_a_plain_variable_keeps_its_value_and_type(
    sandbox: Sandbox, custom_type: str, show_type: str
) -> None:
    made = constant("k", 5, custom_type=custom_type, show_type=show_type)

    assert await shown(sandbox, "${k}", made) == 5
    assert await shown(sandbox, "n=${k}", made) == "n=5"


@pytest.mark.parametrize(
    ("kind", "value", "text", "wanted"),
    [
        ("input", "${o}-1", "${k}", "other-1"),
        ("input", ["${o}", {"a": "${o}"}], "${k}", ["other", {"a": "other"}]),
        ("select", "a", "${k}", "a"),
        ("select", ["a", "${o}"], "${k}", "a,other"),
        ("datatable", ROWS, "${k.ip[1]}", "10.0.0.2"),
        ("datatable", json.dumps(ROWS), "${k.flat__port}", "80\n81"),
        ("datatable", ROWS, "is ${k}", "is DataTable with ip,port Fields"),
        ("time", "14:45:16", "at ${k}", "at 14:45"),
        ("bk_user_selector", "ann,${o}", "${k}", "ann,other"),
        (
            "format_support_datetime",
            {"datetime": "2020-10-10 14:45:00", "datetime_format": " %Y/%m "},
            "${k}",
            "2020/10",
        ),
        ("current_time", {"time_unit": ["year", "hour"], "time_zone": "UTC"}, "${k}", "2026 04"),
        ("current_time", {"time_unit": ["hour", "minute", "second"]}, "${k}", "12:06:07"),
        ("format_support_current_time", {"time_format": "%H:%M"}, "${k}", "12:06"),
    ],
)
async def test_a_variable_is_rendered_and_then_computed(
    sandbox: Sandbox, kind: str, value: JsonValue, text: str, wanted: JsonValue
) -> None:
    made = constant("k", value, custom_type=kind)

    assert await shown(sandbox, text, made, constant("o", "other")) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('${k["value"]}', "2"),
        ('${k["text"]}', "Two"),
        ('${k["value_not_selected"]}', "1"),
        ('${k["text_not_selected"]}', "One"),
    ],
)
async def test_a_choice_takes_the_default_of_its_form_and_knows_its_texts(
    sandbox: Sandbox, text: str, wanted: str
) -> None:
    made = constant("k", FORM, custom_type="text_value_select", is_meta=True)

    assert await shown(sandbox, text, made) == wanted


async def test_a_choice_that_is_given_at_the_start_keeps_its_texts(sandbox: Sandbox) -> None:
    made = constant("k", FORM, custom_type="text_value_select", is_meta=True)

    assert await shown(sandbox, '${k["text"]}', made, k="1") == "One"
    assert await shown(sandbox, '${k["text"]}', made, k=["1", "2"]) == "One,Two"


async def test_a_choice_made_for_a_task_has_its_form_in_meta(sandbox: Sandbox) -> None:
    more = {"is_meta": True, "meta": {"value": FORM}}
    made = constant("k", "1", custom_type="text_value_select", **more)

    assert await shown(sandbox, '${k["text"]}', made) == "One"


async def test_a_select_with_a_form_takes_its_default(sandbox: Sandbox) -> None:
    assert (
        await shown(sandbox, "${k}", constant("k", FORM, custom_type="select", is_meta=True)) == "2"
    )


@pytest.mark.parametrize(("pre_render", "times"), [(False, ["07", "08"]), (True, ["07", "07"])])
async def test_a_lazy_variable_is_computed_at_each_use_unless_it_is_rendered_once(
    sandbox: Sandbox, times: list[str], *, pre_render: bool
) -> None:
    value: Json = {"time_unit": ["second"]}
    made = constant("k", value, custom_type="current_time", pre_render_mako=pre_render)
    whole = tree(made, a=activity({"x": "${k}"}), b=activity({"x": "${k}"}))

    played = await play(sandbox, whole)

    assert [played.got[name]["x"] for name in "ab"] == times


async def test_a_hooked_input_reads_its_variable(sandbox: Sandbox) -> None:
    source = {"source_type": "component_inputs", "source_info": {"a": ["x"]}, "custom_type": ""}
    made = tree(
        constant("k", "v ${o}", **source),
        constant("o", "w"),
        a=activity({"x": field("${k}", hook=True)}),
    )

    assert (await play(sandbox, made)).got["a"]["x"] == "v w"


async def test_outputs_reach_the_nodes_after_theirs_and_are_not_rendered_again(
    sandbox: Sandbox,
) -> None:
    keys = [output("data", "a", "data"), output("ok", "a", "_result"), constant("o", "other")]
    after = activity({"x": "${data}", "y": "${ok}", "z": "got ${data}"})
    made = tree(*keys, a=activity({}), b=after, outputs=("data", "ok"))

    played = await play(sandbox, made, {"a": {"data": "${o}"}})

    assert {k: played.got["b"][k] for k in "xyz"} == {"x": "${o}", "y": True, "z": "got ${o}"}
    assert played.run.finish is not None
    assert played.run.finish.outputs == {"data": "${o}", "ok": True}


async def test_an_output_that_lost_its_node_stays_text(sandbox: Sandbox) -> None:
    made = constant("k", source_type="component_outputs", custom_type="")

    assert await shown(sandbox, "${k}", made) == "${k}"


@pytest.mark.parametrize("counter", ["_loop", "_inner_loop"])
async def test_a_node_sees_its_own_count_before_it_executes(sandbox: Sandbox, counter: str) -> None:
    made = tree(output("n", "a", counter), a=activity({"x": "${n}"}), b=activity({"x": "${n}"}))

    played = await play(sandbox, made)

    assert [played.got[name]["x"] for name in "ab"] == [1, 1]


async def test_an_input_that_is_not_to_be_rendered_is_handed_over_as_it_is(
    sandbox: Sandbox,
) -> None:
    made = tree(constant("k", "v"), a=activity({"x": field("${k}", need_render=False)}))

    assert (await play(sandbox, made)).got["a"]["x"] == "${k}"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("${_system.operator}", "ann"),
        ("by ${_system.operator} in ${_system.project_name}", "by ann in Shop"),
        ("${_system.operator.upper()}", "ANN"),
        ("${_system.task_start_time}", "2026-03-04 12:06:07"),
        ("${_system.task_id}", "t-1"),
        ("${_env_region}", "sz"),
        ("in ${_env_region.upper()}", "in SZ"),
        ("${_system.nope}", "${_system.nope}"),
        ("${_env_nope}", "${_env_nope}"),
    ],
)
async def test_the_system_and_the_project_are_known_at_every_depth(
    sandbox: Sandbox, text: str, wanted: str
) -> None:
    made = tree(s=sub(tree(n=activity({"x": text}))), a=activity({"x": text}))

    played = await play(sandbox, made)

    assert [played.got[path]["x"] for path in ("s/n", "a")] == [wanted, wanted]


async def test_a_variable_may_be_made_of_the_systems(sandbox: Sandbox) -> None:
    made = constant("k", "${_system.operator}@${_env_region}")

    assert await shown(sandbox, "${k}", made) == "ann@sz"


async def test_a_parent_gives_shown_variables_of_a_subflow_and_nothing_else(
    sandbox: Sandbox,
) -> None:
    inner = tree(
        constant("p", "${v}"),
        constant("h", "own", show_type="hide"),
        n=activity({"p": "${p}", "h": "${h}", "v": "${v}"}),
    )

    played = await play(sandbox, tree(constant("v", "parent's"), s=sub(inner)))

    got = played.got["s/n"]
    assert (got["p"], got["h"], got["v"]) == ("parent's", "own", "${v}")


async def test_a_lazy_parameter_is_computed_from_what_the_parent_gives(sandbox: Sandbox) -> None:
    inner = tree(constant("p", ["a", "${v}"], custom_type="select"), n=activity({"x": "${p}"}))

    played = await play(sandbox, tree(constant("v", "b"), s=sub(inner)))

    assert played.got["s/n"]["x"] == "a,b"


async def test_a_hooked_lazy_parameter_is_computed_once_in_the_parent(sandbox: Sandbox) -> None:
    source = {"source_type": "component_inputs", "source_info": {"s": ["${p}"]}}
    outer = constant("v", "14:45:16", custom_type="time", **source)
    inner = tree(constant("p", "${v}", custom_type="time"), n=activity({"x": "${p}"}))

    played = await play(sandbox, tree(outer, s=sub(inner)))

    assert played.got["s/n"]["x"] == "14:45"


async def test_outputs_of_a_subflow_reach_its_parent(sandbox: Sandbox) -> None:
    inner = tree(output("o", "n", "data"), n=activity({}), outputs=("o",))
    made = tree(output("r", "s", "${o}"), s=sub(inner), a=activity({"x": "${r}"}))

    played = await play(sandbox, made, {"s/n": {"data": [1]}})

    assert played.got["a"]["x"] == [1]


async def test_a_circle_that_no_check_sees_fails_the_node_and_names_it(sandbox: Sandbox) -> None:
    made = tree(constant("u", "${w.x}"), constant("w", "${u + 1}"), a=activity({"x": "${u}"}))

    played = await play(sandbox, made)

    assert played.got == {}
    (error,) = played.run.machine.state.failed.values()
    assert "variables refer to each other: u -> w -> u" in error


async def test_a_circle_in_an_output_of_the_run_fails_the_end(sandbox: Sandbox) -> None:
    made = tree(constant("u", "${u.x}"), a=activity({}), outputs=("u",))

    played = await play(sandbox, made)

    assert list(played.run.machine.state.failed) == ["end"]


@pytest.mark.parametrize("text", ["${k}", "<${k}>"])
async def test_a_value_of_a_megabyte_goes_through(sandbox: Sandbox, text: str) -> None:
    found = await shown(sandbox, text, constant("k", "x" * 1_000_000))

    assert isinstance(found, str)
    assert len(found) in (1_000_000, 1_000_002)


async def test_a_pair_of_surrogates_becomes_its_character(sandbox: Sandbox) -> None:
    assert await shown(sandbox, "${k}", constant("k", "\ud83d\ude80")) == "🚀"


@pytest.mark.parametrize(
    ("key", "wanted"), [("__x", "v"), ("_env", "v"), ("1a", "${1a}"), ("class", "${class}")]
)
async def test_a_key_that_is_no_name_in_python_is_never_found(
    sandbox: Sandbox, key: str, wanted: str
) -> None:
    """As in the real engine, which takes a value without a Python name in it for plain."""
    assert await shown(sandbox, f"${{{key}}}", constant(key, "v")) == wanted
