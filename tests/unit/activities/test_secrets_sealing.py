import base64
import json
from typing import Any

import pytest
from pydantic import JsonValue

from activities.contract import PluginCall, Unresolved
from activities.expressions.opening import Opening, current, masked_text, opening
from activities.expressions.secrets import KEY_BYTES, Keys, SecretError, new_key, read_keys
from translator.plan import Literal, PluginRef, Ref, Variable
from translator.values import SEALED, classify, is_sealed

KEYS = Keys.of(b"k" * KEY_BYTES)
SECRET = 's3cret "word" & ü'


def variable(key: str, raw: JsonValue, *, secret: bool = False) -> Variable:
    value = classify(raw, ("pw", "v"))
    kind = "plain" if isinstance(value, Literal) else "splice"
    return Variable(key=key, kind=kind, value=value, secret=secret)


@pytest.mark.parametrize(
    "value", ["text", "", "ünï", "\ud800", 5, 1.5, True, None, {"a": ["b", 1]}, ["x"]]
)
def test_what_was_sealed_is_opened_again(value: JsonValue) -> None:
    sealed = KEYS.seal(value)

    assert is_sealed(sealed)
    assert KEYS.open(json.loads(json.dumps(sealed))) == value


def test_a_value_is_sealed_differently_each_time() -> None:
    assert KEYS.seal("text") != KEYS.seal("text")


def test_the_first_key_seals_and_all_open() -> None:
    old, new = new_key(), new_key()
    before = Keys.of(old).seal("x")

    both = Keys.of(new, old)

    assert both.open(_texts(before)) == "x"
    assert Keys.of(new).open(_texts(both.seal("y"))) == "y"


def test_a_value_of_another_key_names_the_key_and_the_setting() -> None:
    sealed = _texts(Keys.fresh().seal("x"))

    with pytest.raises(SecretError, match=r"key that this worker does not have \(key id '\w{8}'\)"):
        KEYS.open(sealed)


@pytest.mark.parametrize("cut", [0, 5, 8])
def test_a_changed_value_is_refused(cut: int) -> None:
    text = str(KEYS.seal("some text")[SEALED])
    changed = f"{text[:-cut]}AAAA" if cut else f"{text}ü"

    with pytest.raises(SecretError, match="changed on its way"):
        KEYS.open({SEALED: changed})


def test_keys_are_read_from_text_with_commas_between() -> None:
    first, second = new_key(), new_key()
    plain, for_urls = base64.b64encode(first).decode(), base64.urlsafe_b64encode(second).decode()

    assert read_keys(f" {plain},{for_urls}, ") == [first, second]


@pytest.mark.parametrize(
    ("text", "problem"), [("not base64!", "key 1 is not base64"), ("QUJD", "key 1 has 3 bytes")]
)
def test_what_is_no_key_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_keys(text)


def test_inputs_handle_and_data_of_a_call_are_opened_at_any_depth() -> None:
    sealed = KEYS.seal(SECRET)
    call = PluginCall(
        plugin=PluginRef(code="c"),
        run="r",
        node="n",
        entry=1,
        inputs={"a": [{"b": sealed}]},
        handle={"h": sealed},
        data=sealed,
    )

    opened = Opening(KEYS).open_call(call)

    assert (opened.inputs, opened.handle, opened.data) == (
        {"a": [{"b": SECRET}]},
        {"h": SECRET},
        SECRET,
    )


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        json.dumps({"x": SECRET}),
        repr([SECRET]),
        "q=s3cret+%22word%22+%26+%C3%BC",
        "q=s3cret%20%22word%22%20%26%20%C3%BC",
        base64.b64encode(SECRET.encode()).decode(),
    ],
)
def test_an_opened_secret_is_masked_in_every_form(text: str) -> None:
    secrets = Opening(KEYS)
    secrets.open(KEYS.seal(SECRET))

    assert "s3cret" not in secrets.mask_text(f"before {text} after")
    assert secrets.mask_text(f"before {text} after").startswith("before ")
    assert base64.b64encode(SECRET.encode()).decode() not in secrets.mask_text(text)


def test_short_secrets_are_not_looked_for_in_texts() -> None:
    secrets = Opening(KEYS)
    secrets.open(KEYS.seal("abc"))

    assert secrets.mask_text("the abc") == "the abc"


def test_of_an_object_around_a_password_only_the_password_is_masked() -> None:
    secrets = Opening(KEYS)
    secrets.open(KEYS.seal({"tag": "custom", "value": "hunter22"}))

    assert secrets.mask({"custom": "of hunter22"}) == {"custom": "of ******"}


def test_numbers_that_are_secret_are_masked_too() -> None:
    secrets = Opening(KEYS)
    secrets.open(KEYS.seal(123456))

    assert secrets.mask([123456, 5, True, "no 123456"]) == ["******", 5, True, "no ******"]


def test_what_comes_back_is_sealed_where_a_secret_stands_in_it() -> None:
    sealed = KEYS.seal(SECRET)
    secrets = Opening(KEYS)
    secrets.open(sealed)

    back: Any = secrets.put_back({"own": SECRET, "in": f"x {SECRET}", "free": "x", "is": sealed})

    assert (back["own"], back["free"], back["is"]) == (sealed, "x", sealed)
    assert KEYS.open(back["in"]) == f"x {SECRET}"


def test_what_follows_from_a_secret_is_sealed_as_a_whole() -> None:
    sealed = KEYS.seal(SECRET)
    given = Unresolved(
        values={k: classify(v, ("pw", "v")) for k, v in VALUES.items()},
        variables={
            "pw": variable("pw", sealed),
            "v": variable("v", "half ${pw}"),
            "free": variable("free", "free"),
        },
    )
    secrets = Opening(KEYS)
    opened = secrets.open_unresolved(given)

    out: Any = secrets.guarded(
        given.values,
        {
            "ref": SECRET,
            "via": f"half {SECRET}",
            "cut": SECRET[:3],
            "rows": ["x", SECRET],
            "n": "x",
        },
    )

    assert opened.variables["pw"].value == Literal(value=SECRET)
    assert [key for key, each in opened.variables.items() if each.secret] == ["pw", "v"]
    assert out["ref"] == out["rows"][1] == sealed
    assert (out["rows"][0], out["n"]) == ("x", "x")
    assert (KEYS.open(out["via"]), KEYS.open(out["cut"])) == (f"half {SECRET}", SECRET[:3])


VALUES: dict[str, JsonValue] = {
    "ref": "${pw}",
    "via": "${v}",
    "cut": "${pw[:3]}",
    "rows": ["x", "${pw}"],
    "n": "${free}",
}


def test_a_secret_variable_in_clear_counts_as_secret() -> None:
    given = Unresolved(
        values={"a": Ref(key="pw")}, variables={"pw": variable("pw", SECRET, secret=True)}
    )
    secrets = Opening(KEYS)
    secrets.open_unresolved(given)

    assert is_sealed(secrets.guarded(given.values, {"a": SECRET})["a"])
    assert secrets.mask_text(SECRET) == "******"


def test_the_opening_of_the_moment_masks_texts() -> None:
    with opening(KEYS) as secrets:
        secrets.remember(SECRET)
        inside = masked_text(SECRET), current()

    assert inside == ("******", secrets)
    assert (masked_text(SECRET), current()) == (SECRET, None)


def _texts(sealed: dict[str, JsonValue]) -> dict[str, str]:
    return {key: str(text) for key, text in sealed.items()}
