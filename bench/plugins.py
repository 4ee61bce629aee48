"""The plugins of the bench: they do nothing, with an input and an output."""

from typing import Final

from activities.sdk import Call, Inputs, Outputs, plugin


class EchoInputs(Inputs):
    """What is given back."""

    text: str = ""


class EchoOutputs(Outputs):
    """What was given."""

    text: str


@plugin("bench_echo", version="v1.0", idempotent=True)
async def echo(call: Call[EchoInputs]) -> EchoOutputs:
    """Give back the input, by an activity of its own."""
    return EchoOutputs(text=call.inputs.text)


@plugin("bench_quick", version="v1.0", quick=True)
async def quick_echo(call: Call[EchoInputs]) -> EchoOutputs:
    """Give back the input, and be quick about it: neighbours share an activity."""
    return EchoOutputs(text=call.inputs.text)


PLUGINS: Final = (echo, quick_echo)
