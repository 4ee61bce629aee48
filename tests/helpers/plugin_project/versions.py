# pyright: basic, reportMissingImports=false
"""Versions of a remote plugin for tests, run by the real framework in an environment of its own.

This file is copied to where the framework looks for it, and imported by nothing of ours.
"""

import time

from bk_plugin_framework.kit import Context, ContextRequire, InputsModel, OutputsModel, Plugin
from bk_plugin_framework.kit.plugin import PluginCallbackModel

LOOKS = 3


class Whom(ContextRequire):
    executor: str


class Told(ContextRequire):
    plugin_callback_info: PluginCallbackModel


class Synchronous(Plugin):
    class Meta:
        version = "1.0.0sync"
        desc = "ends at once"

    class Inputs(InputsModel):
        host: str

    class Outputs(OutputsModel):
        greeting: str

    class ContextInputs(Whom):
        pass

    def execute(self, inputs: InputsModel, context: Context) -> None:
        context.outputs["greeting"] = f"{context.data.executor} greets {inputs.host}"


class Polling(Plugin):
    class Meta:
        version = "1.0.0poll"
        desc = "looks three times at itself"

    def execute(self, inputs: InputsModel, context: Context) -> None:
        context.outputs["n"] = context.invoke_count
        if context.invoke_count <= LOOKS:
            self.wait_poll(1)


class CalledBack(Plugin):
    class Meta:
        version = "1.0.0callback"
        desc = "waits for another system"

    def execute(self, inputs: InputsModel, context: Context) -> None:
        if context.invoke_count == 1:
            context.outputs["url"] = self.prepare_callback(context).url
            self.wait_callback()
        else:
            context.outputs["said"] = context.callback.data


class Failing(Plugin):
    class Meta:
        version = "1.0.0broken"
        desc = "has a bug"

    def execute(self, inputs: InputsModel, context: Context) -> None:
        raise ZeroDivisionError("nobody saw that coming")


class Refusing(Plugin):
    class Meta:
        version = "1.0.0refuses"
        desc = "says no, at once or later"

    class Inputs(InputsModel):
        later: bool = False

    def execute(self, inputs: InputsModel, context: Context) -> None:
        context.outputs["n"] = context.invoke_count
        if inputs.later and context.invoke_count == 1:
            self.wait_poll(0)
        else:
            raise self.Error("no such host")


class Slow(Plugin):
    class Meta:
        version = "1.0.0slow"
        desc = "ends at once, but not soon"

    def execute(self, inputs: InputsModel, context: Context) -> None:
        time.sleep(5)


class Notifying(Plugin):
    class Meta:
        version = "1.0.0notifies"
        desc = "tells its end"
        enable_plugin_callback = True

    class ContextInputs(Told):
        pass

    def execute(self, inputs: InputsModel, context: Context) -> None:
        if context.invoke_count == 1:
            self.wait_poll(1)
