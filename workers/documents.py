"""What the store keeps of an imported file: nothing secret in clear.

A file that holds a secret is sealed as a whole, so that it can be given back as it came to who has
the keys. In a web tree, which serves as a child of other templates, the secret values alone are
sealed: a sealed value is a value to the translator like any other, so no key is needed to read it.
"""

import base64
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final, cast

from pydantic import JsonValue

from activities.contract import PluginTraits
from stdops import SettingsError
from translator.values import SEALED, classify, is_clear, reads

if TYPE_CHECKING:
    from activities.expressions.secrets import Keys

Tree = Mapping[str, JsonValue]

_MARK: Final = b"stdops-sealed:"
_PASSWORD: Final = "password"  # noqa: S105  the name of a variable's type


# --- files ------------------------------------------------------------------------------------


def sealed_document(data: bytes, keys: "Keys") -> bytes:
    """Return a file's bytes sealed."""
    sealed = keys.seal(base64.b64encode(data).decode())
    return _MARK + str(sealed[SEALED]).encode()


def opened_document(data: bytes, keys: "Keys") -> bytes:
    """Return a file's bytes as they were imported; what is not sealed is given back as it is.

    Raises:
        SettingsError: it was sealed with a key that is not here (SOP513).
    """
    if not data.startswith(_MARK):
        return data
    from activities.expressions.secrets import SecretError

    try:
        text = keys.open({SEALED: data.removeprefix(_MARK).decode("ascii", "replace")})
    except SecretError as error:
        fix = "set STDOPS_SECRET_KEYS to the keys with which the template was imported"
        what = f"the stored file holds secrets and cannot be opened: {error}"
        raise SettingsError("SOP513", what, where="store", fix=fix) from None
    return base64.b64decode(str(text))


# --- trees ------------------------------------------------------------------------------------


def sealed_tree(tree: Tree, keys: "Keys", traits: Mapping[str, PluginTraits] = {}) -> Tree:
    """Return a web tree with its secret values sealed; the same one where there are none.

    Secret are the values of password variables, at any depth of subflows, and, by the plugins'
    `traits` (by `code/version`), inputs that a plugin declares so. A value that refers to variables
    stays: sealed, it would no longer do so.
    """
    return _Sealing(keys, traits).tree(tree)


class _Sealing:
    """Seals one tree; what holds no secret is returned as it is."""

    def __init__(self, keys: "Keys", traits: Mapping[str, PluginTraits]) -> None:
        self._keys = keys
        self._traits = traits

    def tree(self, tree: Tree) -> Tree:
        constants, activities = _object(tree, "constants"), _object(tree, "activities")
        return _with(
            tree,
            constants=_with(constants, **{k: self._constant(v) for k, v in constants.items()}),
            activities=_with(activities, **{k: self._activity(v) for k, v in activities.items()}),
        )

    def _constant(self, constant: JsonValue) -> JsonValue:
        if not isinstance(constant, dict) or constant.get("custom_type") != _PASSWORD:
            return constant
        return _json(_with(constant, value=self._value(constant.get("value"))))

    def _activity(self, activity: JsonValue) -> JsonValue:
        if not isinstance(activity, dict):
            return activity
        given = _object(activity, "constants")
        return _json(
            _with(
                activity,
                constants=_with(given, **{k: self._constant(v) for k, v in given.items()}),
                pipeline=self.tree(_object(activity, "pipeline")),
                component=self._component(_object(activity, "component")),
            )
        )

    def _component(self, component: Tree) -> Tree:
        named = f"{component.get('code')}/{component.get('version') or 'legacy'}"
        found = self._traits.get(named)
        secret: Collection[str] = found.secrets if found else ()
        data = _object(component, "data")
        fields = {key: self._field(data[key]) for key in secret if key in data}
        return _with(component, data=_with(data, **fields))

    def _field(self, field: JsonValue) -> JsonValue:
        if not isinstance(field, dict) or "value" not in field:
            return field
        return _json(_with(field, value=self._value(field["value"])))

    def _value(self, value: JsonValue) -> JsonValue:
        if not is_clear(value) or reads(classify(value)):
            return value
        return self._keys.seal(value)


def _object(holder: Tree, name: str) -> Tree:
    found = holder.get(name)
    return found if isinstance(found, dict) else {}


def _with(holder: Tree, **fields: object) -> Tree:
    """Return an object with other fields; the same one where none is another, or is there."""
    changed = {k: v for k, v in fields.items() if k in holder and v != holder[k]}
    return {**holder, **cast("Tree", changed)} if changed else holder


def _json(tree: Tree) -> JsonValue:
    return cast("JsonValue", tree)  # an object of JSON values is one
