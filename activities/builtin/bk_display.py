"""`bk_display`: shows a message in the run; ends at once."""

from pydantic import ConfigDict, Field

from activities.sdk import Call, Inputs, plugin


class DisplayInputs(Inputs):
    """What to show."""

    model_config = ConfigDict(extra="ignore")

    bk_display_message: str = Field(default="", description="What to show")


async def show(call: Call[DisplayInputs]) -> None:
    """Show a message; the workflow does it itself, so this runs only where there is none."""
    call.log.info("activities.message_displayed", message=call.inputs.bk_display_message)


# both spellings of the version are found in templates, and versions are compared literally
bk_display = plugin(
    "bk_display", version="1.0", name="Message display", group="Core", inline="display"
)(show)
bk_display_v1 = plugin(
    "bk_display", version="v1.0", name="Message display", group="Core", inline="display"
)(show)
