"""A key pair, and the reading of what was encrypted by its public half."""

import base64
from typing import Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

PRIVATE: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM: Final = (
    PRIVATE.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
BLOCK: Final = 256


def from_blocks(text: str, prefix: str = "") -> str:
    """Read what NodeMan would read."""
    assert text.startswith(prefix)
    found = base64.b64decode(text.removeprefix(prefix))
    blocks = [found[at : at + BLOCK] for at in range(0, len(found), BLOCK)]
    return b"".join(PRIVATE.decrypt(block, padding.PKCS1v15()) for block in blocks).decode()


def from_labelled(text: str, label: bytes) -> str:
    """Read what the newer node manager would read."""
    found = base64.b64decode(text)
    assert found[:1] == b"\x01"
    hashed = hashes.SHA256()
    oaep = padding.OAEP(mgf=padding.MGF1(hashed), algorithm=hashed, label=label)
    return PRIVATE.decrypt(found[1:], oaep).decode()
