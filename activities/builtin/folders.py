"""A folder of its own for one call, removed with it."""

import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from activities.sdk import PluginError


@asynccontextmanager
async def own_folder(parent: Path | None) -> AsyncGenerator[Path, None]:
    """Make a folder below `parent`, None is the system's place for such; the caller may fill it.

    Raises:
        PluginError: it cannot be made; nothing has been done then.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="stdops-", dir=parent))
    except OSError as error:
        raise PluginError(
            f"no folder can be made on this worker ({error}); see `folder` in its settings",
            retryable=True,
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
