"""How secrets of hosts reach the node manager: encrypted by the key that it gives."""

import base64
from collections.abc import Iterable
from typing import Final

from activities.blueking.ciphers import Cipher, in_blocks
from activities.blueking.client import BlueKing
from activities.blueking.form import Fields
from activities.calls import PluginError
from activities.http_client import HIDDEN

KEY_NAME: Final = "DEFAULT"
_RSA: Final = "RSA"
_NO_KEY: Final = "获取节点管理公钥失败,请查看节点日志获取错误详情."


async def login_cipher(bk: BlueKing) -> Cipher:
    """Return the cipher of the node manager's public key.

    Raises:
        PluginError: it gives no key, or one of a kind that we cannot encrypt with.
    """
    found = await bk.rows("nodeman.get_rsa_public_key", {"names": [KEY_NAME]})
    if not found:
        raise PluginError(_NO_KEY)
    key = Fields(found[0])
    kind = key.line("cipher_type") or _RSA
    if kind != _RSA:
        raise PluginError(
            f"the node manager's public key is of kind {kind!r}, which stdops cannot encrypt with: "
            "let the node manager use RSA"
        )
    return in_blocks(key.text("content"), base64.b64encode(KEY_NAME.encode()).decode())


def without(text: str, secrets: Iterable[str]) -> str:
    """Return a text with secrets in it hidden."""
    for secret in filter(None, secrets):
        text = text.replace(secret, HIDDEN)
    return text
