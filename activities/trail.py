"""What one attempt of a step leaves for the next, which another worker may make."""

from pydantic import Field, JsonValue

from activities.steps import TryAgain
from translator.plan import Model


class Trail(Model):
    """What one attempt leaves for the next, and what the Temporal page shows of it.

    looks: how often a poll has looked; from the first one on, `handle` and `outputs` are newer than
    the call's. not_taken: the attempt whose request the outside has surely not taken, or that may
    be repeated. failures: attempts in a row without an answer. unsure: one of the attempts may have
    been taken. note: what the last look that had something to say has noted.
    """

    looks: int = 0
    handle: JsonValue = None
    outputs: dict[str, JsonValue] = Field(default_factory=dict)
    not_taken: int = 0
    failures: int = 0
    unsure: bool = False
    progress: dict[str, JsonValue] = Field(default_factory=dict)
    note: str = ""

    def looked(self, again: TryAgain) -> "Trail":
        """Return what a look leaves that has found the work going on."""
        return Trail(
            looks=self.looks + 1,
            handle=again.handle,
            outputs=dict(again.outputs),
            progress=self.progress,
            note=again.note or self.note,
        )

    def failed(self, again: TryAgain, attempt: int) -> "Trail":
        """Return what an attempt leaves that is to be made again."""
        is_unsure = self.unsure or again.kind == "no_answer" or self.not_taken != attempt - 1
        return self.model_copy(
            update={"not_taken": attempt, "failures": self.failures + 1, "unsure": is_unsure}
        )

    def news(self) -> dict[str, JsonValue]:
        """Return the fields of the message that an earlier look has made newer."""
        return {"handle": self.handle, "outputs": self.outputs} if self.looks else {}
