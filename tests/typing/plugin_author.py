"""What a plugin author writes, checked by pyright and never run: right uses pass, wrong ones do not.

An ignore below marks what must be refused: pyright reports it as needless when it is not.
"""

from pydantic import Field, JsonValue

from stdops import (
    Call,
    Inputs,
    Lookup,
    Outputs,
    PluginError,
    Secret,
    Stage,
    StillRunning,
    WaitForCallback,
    lazy_variable,
    plugin,
)


class DeployInputs(Inputs):
    host: str
    count: int = Field(default=1, alias="bk_count")
    password: Secret | None = None


class DeployOutputs(Outputs):
    job: int
    log: str | None = None


@plugin("deploy", version="v1.0", name="Deploy", group="Mine", timeout_s=60)
async def deploy(call: Call[DeployInputs]) -> DeployOutputs:
    host: str = call.inputs.host
    call.log.info("mine.deploy_started", host=host, key=call.key)
    call.progress(percent=10, text="started")
    response = await call.http.post(f"https://{host}/deploy", json={"by": call.operator})
    if response.status_code == 409:
        raise PluginError("busy", retryable=True, after_s=30)
    if response.status_code == 202:
        raise StillRunning(handle=response.json(), after_s=5, outputs={"job": 1})
    if response.status_code == 201:
        raise WaitForCallback
    return DeployOutputs(job=1)


@deploy.poll
async def _(call: Call[DeployInputs], handle: JsonValue) -> DeployOutputs | None:
    return DeployOutputs(job=1) if handle else None


@deploy.callback
async def _(call: Call[DeployInputs], data: JsonValue) -> DeployOutputs:
    return DeployOutputs(job=1)


@deploy.stop
async def _(call: Call[DeployInputs], handle: JsonValue) -> None:
    await call.http.delete(f"https://{call.inputs.host}/{handle}")


@deploy.repeatable
def _(inputs: DeployInputs) -> bool:
    return inputs.count == 0


@plugin("shout")
async def shout(call: Call[DeployInputs]) -> None:
    call.log.info("mine.shouted")


@lazy_variable("hosts")
async def hosts(lookup: Lookup) -> JsonValue:
    response = await lookup.http.get("https://cmdb.test/hosts", params={"user": lookup.executor})
    return response.json()


async def rehearse() -> None:
    async with Stage(context={"operator": "ann"}) as stage:
        outcome = await stage.run(deploy, {"host": "web-1"})
        assert outcome.kind == "done"


# --- what must be refused ----------------------------------------------------------------------


@plugin("no_call")  # pyright: ignore
async def no_call(call: int) -> None: ...


@plugin("wrong_outputs")  # pyright: ignore
async def wrong_outputs(call: Call[DeployInputs]) -> str:
    return ""


@plugin("not_async")  # pyright: ignore
def not_async(call: Call[DeployInputs]) -> None: ...


@shout.poll  # pyright: ignore
async def _(call: Call[DeployInputs], handle: JsonValue) -> DeployOutputs: ...


@deploy.stop  # pyright: ignore
async def _(call: Call[DeployInputs]) -> None: ...


@lazy_variable("not_async")  # pyright: ignore
def not_async_either(lookup: Lookup) -> JsonValue: ...


async def unknown_input(call: Call[DeployInputs]) -> None:
    call.inputs.hots  # pyright: ignore
