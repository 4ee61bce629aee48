"""The test kit for plugin authors: run a plugin without a server, a network or a wait.

A `Stage` is what is around a plugin in a test; a `Recording` is a real service's answers, taken
down once into a file.
"""

from activities.testing.recording import Recording, RecordingError
from activities.testing.stage import MAX_STEPS, START, Answer, Stage

__all__ = ["MAX_STEPS", "START", "Answer", "Recording", "RecordingError", "Stage"]
