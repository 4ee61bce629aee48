"""`webhook`: tells another system of an event, signed by the Standard Webhooks specification.

The receiver checks `webhook-signature` with any library of that specification: HMAC-SHA256 over
`<webhook-id>.<webhook-timestamp>.<body>`. `webhook-id` is the same in every try of one execution of
a node, so that a receiver can tell a repetition; `idempotency-key` says the same.

Not idempotent unless the node says that the receiver tells repetitions: what surely did not arrive
is sent again in any case, a lost answer is "outcome unknown".
"""

import base64
import binascii
import hashlib
import hmac
import json
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr, field_validator

from activities.builtin.http_request import (
    HttpAnswer,
    RequestInputs,
    answer_of,
    as_json,
    send,
    unexpected,
)
from activities.sdk import Call, PluginError, Secret, plugin

SECRET_PREFIX: Final = "whsec_"  # noqa: S105  no secret
"""In front of a secret that is base64, as the specification writes them."""


class WebhookSettings(BaseModel):
    """The table `[plugins.webhook]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    secrets: dict[str, SecretStr] = Field(
        default_factory=dict, description="Signing secrets by name, for the input `secret_name`"
    )


class WebhookInputs(RequestInputs):
    """Whom to tell, what, and with which secret it is signed."""

    payload: JsonValue = Field(description="What to tell, as JSON: a value, or its JSON text")
    secret: Secret | None = Field(
        default=None, description="Signing secret; give a password variable"
    )
    secret_name: str = Field(
        default="", description="Name of a signing secret in the workers' settings, instead"
    )
    repeatable: bool = Field(
        default=False, description="The receiver tells repetitions by `webhook-id`"
    )

    @field_validator("payload")
    @classmethod
    def _read(cls, payload: JsonValue) -> JsonValue:
        return as_json(payload)


@plugin(
    "webhook",
    version="v1.0",
    name="Signed webhook",
    group="Core",
    timeout_s=600,
    settings={"webhook": WebhookSettings},
)
async def webhook(call: Call[WebhookInputs]) -> HttpAnswer:
    """Send a signed event to another system; an answer of 2xx is a success."""
    given = call.inputs
    body = json.dumps(given.payload, ensure_ascii=False, separators=(",", ":")).encode()
    timestamp = int(call.now().timestamp())
    headers = {
        "content-type": "application/json",
        "webhook-id": call.key,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(_secret_of(call), call.key, timestamp, body),
        "idempotency-key": call.key,
    }
    response = await send(call, "POST", {"content": body, "headers": headers})
    answer = answer_of(response, given.max_answer_bytes)
    if not response.is_success:
        raise unexpected(response, answer, may_repeat=given.repeatable)
    return answer


@webhook.repeatable
def _(inputs: WebhookInputs) -> bool:
    return inputs.repeatable


def signature(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of an event; `timestamp` in seconds since the epoch."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    found = hmac.new(secret, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(found).decode()}"


def secret_bytes(secret: str) -> bytes:
    """Return the bytes of a secret: base64 behind the prefix of the specification, else the text.

    Raises:
        PluginError: what follows the prefix is no base64.
    """
    if not secret.startswith(SECRET_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise PluginError(
            f"the signing secret starts with {SECRET_PREFIX!r} but no base64 follows; correct it"
        ) from None


def _secret_of(call: Call[WebhookInputs]) -> bytes:
    given = call.inputs
    if given.secret is not None:
        return secret_bytes(given.secret.get_secret_value())
    known = call.shelf.settings("webhook", WebhookSettings).secrets
    if given.secret_name in known:
        return secret_bytes(known[given.secret_name].get_secret_value())
    if not given.secret_name:
        raise PluginError("there is nothing to sign with; give `secret` or `secret_name`")
    raise PluginError(
        f"the workers have no signing secret {given.secret_name!r}; they have: "
        f"{', '.join(sorted(known)) or 'none'} (secrets in [plugins.webhook] of their settings)"
    )
