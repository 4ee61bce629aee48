"""`file_transfer`: brings a file from one place to another.

Places are folders of the worker, hosts by SFTP and buckets of S3, as far as the workers' settings
allow them. Idempotent: the same file is written again under its name, which it gets when it is
whole.
"""

from pathlib import Path
from typing import Final

from pydantic import Field

from activities.builtin.folders import own_folder
from activities.builtin.places import FileSettings, Place, place_at, sha256_of
from activities.builtin.ssh import LoginInputs, SshSettings
from activities.builtin.threads import in_thread
from activities.sdk import Call, Outputs, PluginError, plugin

LONGEST_S: Final = 24 * 3600


class FileInputs(LoginInputs):
    """From where, to where, and what must hold; the login is for SFTP."""

    source: str = Field(
        min_length=1,
        description="Address of the file: file:///folder/name, sftp://user@host/folder/name (/~/ "
        "for the user's own folder), s3://bucket/key",
    )
    target: str = Field(min_length=1, description="Address it gets, likewise")
    sha256: str = Field(
        default="",
        pattern=r"^\s*([0-9a-fA-F]{64})?\s*$",
        description="Checksum that the file must have",
    )
    overwrite: bool = Field(
        default=True,
        description="Write in place of what is at the target; off, other content there is a "
        "failure, and the same content is a success",
    )
    max_bytes: int = Field(default=1024**3, ge=1, description="Largest file that is passed on")


class FileOutputs(Outputs):
    """What was brought."""

    size_bytes: int = Field(description="Size of the file")
    sha256: str = Field(description="Checksum of its content")
    written: bool = Field(description="False where the target had it already")


@plugin(
    "file_transfer",
    version="v1.0",
    name="File transfer",
    group="Core",
    idempotent=True,
    timeout_s=LONGEST_S,
    settings={"file_transfer": FileSettings, "ssh": SshSettings},
)
async def file_transfer(call: Call[FileInputs]) -> FileOutputs:
    """Bring a file from one place to another: folders of the worker, SFTP, S3.

    Needs `pip install 'stdops[ssh]'` for SFTP and `pip install 'stdops[s3]'` for S3.
    """
    given = call.inputs
    source, target = place_at(given.source, call), place_at(given.target, call)
    settings = call.shelf.settings("file_transfer", FileSettings)
    async with own_folder(settings.folder) as folder:
        file = folder / "file"
        call.progress(doing="reads the source")
        await source.fetch(file)
        digest = await in_thread(call, sha256_of, file)
        if given.sha256.strip() and digest != given.sha256.strip().lower():
            raise PluginError(f"{given.source} has the checksum {digest}, not {given.sha256}")
        call.progress(doing="writes the target", size_bytes=file.stat().st_size)
        written = given.overwrite or not await _is_there(call, target, folder, digest)
        if written:
            await target.put(file)
        return FileOutputs(size_bytes=file.stat().st_size, sha256=digest, written=written)


async def _is_there(call: Call[FileInputs], target: Place, folder: Path, digest: str) -> bool:
    """Return whether the target has the content already.

    Raises:
        PluginError: it has another.
    """
    if not await target.exists():
        return False
    present = folder / "present"
    await target.fetch(present)
    found = await in_thread(call, sha256_of, present)
    if found != digest:
        raise PluginError(
            f"{call.inputs.target} is there with other content (checksum {found}); turn "
            "`overwrite` on, or give another target"
        )
    return True
