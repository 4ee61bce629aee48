"""What the store keeps of a file with a password in it: nothing of it in clear, and all of it."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from activities.contract import PluginTraits
from activities.expressions.secrets import Keys
from stdops import SettingsError
from tests.helpers.password_files import PASSWORD, TOKEN, a_file, a_parent
from translator.plan import Literal, PluginRef, Subflow
from translator.values import is_sealed
from workers.documents import opened_document, sealed_document, sealed_tree
from workers.importing import Seals, load
from workers.store import Store

KEYS = Keys.fresh()
BROKEN = PluginRef(code="broken", version="legacy")
TRAITS = {"broken/legacy": PluginTraits(plugin=BROKEN, secrets=("token",))}


def store_at(folder: Path) -> Store:
    return Store.open(f"sqlite:///{folder / 'store.db'}")


def written(folder: Path) -> str:
    return "".join(f.read_bytes().decode("utf-8", "replace") for f in folder.iterdir())


def test_no_part_of_the_store_has_a_password_or_a_plugins_secret_in_clear(tmp_path: Path) -> None:
    with store_at(tmp_path) as store:
        load(a_file(), "a.json", store, seals=Seals(KEYS, TRAITS))

    hidden = [each for word in (PASSWORD, TOKEN) for each in (word, in_base64(word))]
    assert [each for each in hidden if each in written(tmp_path)] == []


def in_base64(word: str) -> str:
    return base64.b64encode(word.encode()).decode()[:-4]


def test_the_file_is_given_back_byte_for_byte_with_the_keys(tmp_path: Path) -> None:
    with store_at(tmp_path) as store:
        [saved] = load(a_file(), "a.json", store, seals=Seals(KEYS)).templates
        kept = store.document(store.template(saved.key).document_digest)

    assert kept != a_file()
    assert opened_document(kept, KEYS) == a_file()


def test_the_same_file_again_is_kept_once_and_changes_nothing(tmp_path: Path) -> None:
    with store_at(tmp_path) as store:
        first = load(a_file(), "a.json", store, seals=Seals(KEYS)).templates
        again = load(a_file(), "a.json", store, seals=Seals(KEYS)).templates

    assert [(one.created, two.created) for one, two in zip(first, again, strict=True)] == [
        (True, False)
    ]


def test_a_file_without_secrets_is_kept_as_it_is(tmp_path: Path) -> None:
    data = a_file(password="")
    with store_at(tmp_path) as store:
        [saved] = load(data, "a.json", store, seals=Seals(KEYS)).templates

        assert store.document(store.template(saved.key).document_digest) == data


def test_a_child_that_is_read_from_the_store_brings_its_password_sealed(tmp_path: Path) -> None:
    with store_at(tmp_path) as store:
        load(a_file(), "a.json", store, seals=Seals(KEYS))
        [plan] = load(a_parent(), "b.json", store, seals=Seals(KEYS)).plans

    sub = next(node for node in plan.flow.nodes.values() if isinstance(node, Subflow))
    value = sub.flow.variables["word"].value
    assert isinstance(value, Literal)
    assert is_sealed(value.value)
    assert KEYS.open(value.value) == PASSWORD


def test_a_value_that_refers_to_a_variable_stays_in_a_tree() -> None:
    constant: dict[str, Any] = {"custom_type": "password", "value": "${other}"}
    tree: dict[str, Any] = {"constants": {"${word}": constant}}

    assert sealed_tree(tree, KEYS) is tree


def test_a_subflow_inside_of_a_tree_is_sealed_too() -> None:
    constant: dict[str, Any] = {"custom_type": "password", "value": PASSWORD}
    inner: dict[str, Any] = {"constants": {"${word}": constant}}
    tree: dict[str, Any] = {
        "activities": {"s": {"pipeline": inner, "constants": {"${word}": constant}}}
    }

    assert PASSWORD not in json.dumps(sealed_tree(tree, KEYS))


def test_without_the_key_the_file_is_refused_with_the_cure() -> None:
    kept = sealed_document(b"x", KEYS)

    with pytest.raises(SettingsError, match="STDOPS_SECRET_KEYS") as error:
        opened_document(kept, Keys.fresh())

    assert error.value.code == "SOP513"
