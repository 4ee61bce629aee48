"""The demo as a person starts it, in a process of its own."""

import asyncio
import sys


async def stdops(*args: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "stdops",
        *args,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_the_demo_fails_is_mended_and_ends_within_a_minute() -> None:
    async with asyncio.timeout(60):
        code, output = await stdops("demo", "--once")

    assert code == 0, output
    assert "Failed" in output
    assert "✓ finished" in output
    assert '"deployed": "standby"' in output


async def test_the_change_fails_on_one_host_is_mended_and_ends() -> None:
    async with asyncio.timeout(110):
        code, output = await stdops("demo", "--blueking", "--once")

    assert code == 0, output
    assert "✗ Failed  5/13  failed: 分发文件 Push files" in output
    assert "✓ finished" in output
    assert "approved = 通过" in output
    assert 'backup_log = {"file": "/backup/web-before-2.4.0.tgz"}' in output
