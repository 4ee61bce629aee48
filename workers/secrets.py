"""Secrets of an installation: its keys, and what is sealed before it is stored or sent."""

import base64
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import JsonValue

from activities.contract import PluginTraits
from stdops import SettingsError
from translator.plan import (
    Child,
    DictValue,
    Expression,
    Flow,
    ListValue,
    Literal,
    Node,
    Plan,
    Ref,
    Splice,
    Subflow,
    Task,
    Value,
    Variable,
    VariableKey,
)
from translator.values import is_clear, reads, source

if TYPE_CHECKING:
    from activities.expressions.secrets import Keys
    from workers.settings import Settings

KEY_FILE: Final = "secret.key"

_KEPT: Final = tuple(name for name in Plan.model_fields if name != "flow")

_FIX: Final = "restore it, or set STDOPS_SECRET_KEYS to the keys of the other workers"


# --- keys -------------------------------------------------------------------------------------


def secret_keys(settings: "Settings") -> "Keys":
    """Return the keys: those of the settings, else the one in the data folder, made if needed.

    Nothing is read or made before a key is needed.
    """
    from activities.expressions.secrets import Keys

    return Keys(lambda: _load(settings))


def _load(settings: "Settings") -> list[bytes]:
    from activities.expressions.secrets import read_keys

    text = settings.secret_keys.get_secret_value()
    return read_keys(text) if text.strip() else keys_in(settings.data_dir)


def keys_in(folder: Path, name: str = KEY_FILE) -> list[bytes]:
    """Return the keys of a key file in a folder; makes it, for its owner alone.

    Raises:
        SettingsError: it cannot be made or read, or holds something else (SOP513).
    """
    from activities.expressions.secrets import new_key, read_keys

    reason: object = "it holds none"
    file = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _make(file, base64.b64encode(new_key()).decode())
        keys = read_keys(file.read_text("ascii").strip())
        if keys:
            return keys
    except OSError as error:
        reason = error.strerror
    except ValueError as error:
        reason = error
    what = f"the key file of secrets cannot be used: {reason}"
    raise SettingsError("SOP513", what, where=str(file), fix=_FIX)


def _make(file: Path, text: str) -> None:
    """Write a file that is not there yet, whole or not at all: another process may do the same."""
    if file.exists():
        return
    own = file.with_name(f"{file.name}.{os.getpid()}")
    with os.fdopen(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(f"{text}\n")
    try:
        os.link(own, file)  # refuses to replace what another process has made meanwhile
    except FileExistsError:
        return
    finally:
        own.unlink()


# --- values -----------------------------------------------------------------------------------


def sealed_values(
    values: Mapping[str, JsonValue], names: Collection[str], keys: "Keys"
) -> dict[str, JsonValue]:
    """Return values by name, those sealed that are named in `names`; a name may stand in `${}`.

    What only refers to a variable, and what is sealed already, stays as it is.
    """
    secret = {*names, *(f"${{{name}}}" for name in names)}
    return {k: _sealed(v, keys) if k in secret else v for k, v in values.items()}


def _sealed(value: JsonValue, keys: "Keys") -> JsonValue:
    from translator.values import classify

    is_reference = isinstance(value, str) and isinstance(classify(value), Ref)
    return keys.seal(value) if is_clear(value) and not is_reference else value


def secret_names(flow: Flow) -> tuple[VariableKey, ...]:
    """Return the secret variables of a flow."""
    return tuple(key for key, variable in flow.variables.items() if variable.secret)


def secret_inputs(traits: Iterable[PluginTraits]) -> frozenset[str]:
    """Return the names of all inputs that some plugin declares secret."""
    return frozenset(name for each in traits for name in each.secrets)


# --- plans ------------------------------------------------------------------------------------


def sealed_plan(plan: Plan, keys: "Keys", traits: Mapping[str, PluginTraits] = {}) -> Plan:
    """Return a plan with its secrets sealed; the same one where there is nothing to seal.

    Secret are the values of secret variables, at any depth, what is handed to such a variable of a
    subflow, and, by the plugins' `traits` (by `code/version`), inputs that a plugin declares so.
    """
    flow = _Sealing(keys, traits).flow(plan.flow)
    if flow is plan.flow:
        return plan
    # made anew: a copy would keep the digest that the plan has remembered
    return Plan.model_validate({name: getattr(plan, name) for name in _KEPT} | {"flow": flow})


class _Sealing:
    """Seals one plan; every part that holds no secret is returned as it is."""

    def __init__(self, keys: "Keys", traits: Mapping[str, PluginTraits]) -> None:
        self._keys = keys
        self._traits = traits

    def flow(self, flow: Flow) -> Flow:
        variables = {key: self._variable(v, flow) for key, v in flow.variables.items()}
        nodes = {key: self._node(node, flow) for key, node in flow.nodes.items()}
        is_same = all(variables[k] is v for k, v in flow.variables.items()) and all(
            nodes[k] is n for k, n in flow.nodes.items()
        )
        update = {"variables": variables, "nodes": nodes}
        return flow if is_same else flow.model_copy(update=update)

    def _variable(self, variable: Variable, flow: Flow) -> Variable:
        if not variable.secret:
            return variable
        value = self._value(variable.value, flow.variables)
        if value is variable.value:
            return variable
        return variable.model_copy(update={"value": value, "reads": reads(value)})

    def _node(self, node: Node, flow: Flow) -> Node:
        match node:
            case Task():
                found = self._traits.get(f"{node.plugin.code}/{node.plugin.version}")
                if node.child is not None:
                    return self._child(node, node.child, flow)
                inputs = self._fields(node.inputs, found.secrets if found else (), flow)
                return node if inputs is None else node.model_copy(update={"inputs": inputs})
            case Subflow():
                inner = self.flow(node.flow)
                params = self._fields(node.params, secret_names(node.flow), flow)
                if inner is node.flow and params is None:
                    return node
                return node.model_copy(update={"flow": inner, "params": params or node.params})
            case _:
                return node

    def _child(self, task: Task, child: Child, flow: Flow) -> Task:
        inner = self.flow(child.flow)
        inputs = self._fields(task.inputs, secret_names(child.flow), flow)
        if inner is child.flow and inputs is None:
            return task
        sealed = child.model_copy(update={"flow": inner})
        return task.model_copy(update={"child": sealed, "inputs": inputs or task.inputs})

    def _fields(
        self, values: Mapping[str, Value], secret: Collection[str], flow: Flow
    ) -> dict[str, Value] | None:
        """Return values with the secret ones sealed, None where none had to be."""
        named = {k: self._value(values[k], flow.variables) for k in secret if k in values}
        changed = any(named[k] is not values[k] for k in named)
        return {**values, **named} if changed else None

    def _value(self, value: Value, declared: Collection[VariableKey]) -> Value:
        """Seal a value; what refers to declared variables stays a template, around its texts."""
        match value:
            case Literal(value=plain):
                return Literal(value=self._keys.seal(plain)) if is_clear(plain) else value
            case Ref():
                return value
            case Splice() | Expression():
                refers = any(key in declared for key in reads(value))
                return value if refers else Literal(value=self._keys.seal(source(value)))
            case ListValue(items=items):
                sealed = tuple(self._value(item, declared) for item in items)
                is_same = all(new is old for new, old in zip(sealed, items, strict=True))
                return value if is_same else ListValue(items=sealed)
            case DictValue(fields=fields):
                found = {key: self._value(field, declared) for key, field in fields.items()}
                is_same = all(found[key] is fields[key] for key in fields)
                return value if is_same else DictValue(fields=found)
