"""`pause_node`: waits until a person confirms."""

from pydantic import ConfigDict, Field, JsonValue

from activities.sdk import Call, Inputs, Outputs, WaitForCallback, plugin


class PauseInputs(Inputs):
    """What the person is asked to confirm."""

    model_config = ConfigDict(extra="ignore")

    description: str = Field(default="", description="What is to be confirmed")


class PauseOutputs(Outputs):
    """What the person answered; not written when the answer is empty."""

    callback_data: JsonValue = Field(default=None, description="What the person answered")


@plugin("pause_node", name="Manual confirmation (pause)", group="Core", inline="pause")
async def pause_node(call: Call[PauseInputs]) -> PauseOutputs:
    """Wait for one callback; the workflow does it itself, so this runs only where there is none."""
    call.log.info("activities.confirmation_awaited", description=call.inputs.description)
    raise WaitForCallback


@pause_node.callback
async def _(call: Call[PauseInputs], data: JsonValue) -> PauseOutputs:
    call.log.info("activities.confirmation_received")
    return PauseOutputs() if data is None else PauseOutputs(callback_data=data)
