"""Secrets of hosts, encrypted so that the node managers can read them."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from activities.blueking.ciphers import NODEMGR_LABEL, in_blocks, with_label
from activities.calls import PluginError
from tests.helpers.rsa_keys import PEM, from_blocks, from_labelled

OTHER_KIND = (
    ec.generate_private_key(ec.SECP256R1())
    .public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


@pytest.mark.parametrize("text", ["", "pass", "密" * 400], ids=["empty", "short", "long"])
def test_nodeman_reads_what_we_encrypt(text: str) -> None:
    assert from_blocks(in_blocks(PEM, "REVG")(text), "REVG") == text


def test_the_newer_node_manager_reads_what_we_encrypt() -> None:
    assert from_labelled(with_label(PEM)("pass"), NODEMGR_LABEL) == "pass"


def test_a_secret_that_does_not_fit_says_so() -> None:
    with pytest.raises(PluginError, match="too long"):
        with_label(PEM)("x" * 1000)


@pytest.mark.parametrize("pem", ["", "no key", OTHER_KIND], ids=["empty", "text", "other kind"])
def test_what_is_no_key_says_so(pem: str) -> None:
    with pytest.raises(PluginError, match="an RSA key is wanted"):
        in_blocks(pem)
