"""Passwords and keys of hosts as the node managers want them: encrypted by their public keys. Pure.

Source: plugins' reference, section 3.8.
"""

import base64
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from activities.calls import PluginError

Cipher = Callable[[str], str]

NODEMGR_LABEL: Final = b"com.example.crypto.rsa.v1"
_NODEMGR_VERSION: Final = b"\x01"
_PADDING_BYTES: Final = 11
"""What PKCS#1 v1.5 takes of each block."""


def in_blocks(pem: str, prefix: str = "") -> Cipher:
    """Return the cipher of NodeMan: PKCS#1 v1.5 block by block, in base64 behind a prefix.

    Raises:
        PluginError: the key cannot be read.
    """
    key = _read(pem)
    size = key.key_size // 8 - _PADDING_BYTES

    def encrypt(text: str) -> str:
        plain = text.encode()
        blocks = [plain[at : at + size] for at in range(0, len(plain), size)] or [b""]
        found = b"".join(key.encrypt(block, padding.PKCS1v15()) for block in blocks)
        return prefix + base64.b64encode(found).decode()

    return encrypt


def with_label(pem: str) -> Cipher:
    """Return the cipher of the newer node manager: OAEP by SHA-256, a version byte in front.

    Raises:
        PluginError: the key cannot be read, or a text is longer than it can hold.
    """
    key = _read(pem)
    hashed = hashes.SHA256()
    oaep = padding.OAEP(mgf=padding.MGF1(hashed), algorithm=hashed, label=NODEMGR_LABEL)

    def encrypt(text: str) -> str:
        try:
            found = key.encrypt(text.encode(), oaep)
        except ValueError:
            raise PluginError(
                "a password or key is too long for the node manager's public key"
            ) from None
        return base64.b64encode(_NODEMGR_VERSION + found).decode()

    return encrypt


def _read(pem: str) -> RSAPublicKey:
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPublicKey):
        raise PluginError("the node manager's public key cannot be read: an RSA key is wanted")
    return key
