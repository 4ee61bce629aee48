"""A real plugin service: bk-plugin-framework with versions of ours, in an environment of its own.

The environment is made once, in the user's cache, by pip from wherever pip is set up to look; where
it cannot be made `real_service` says why.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import httpx

APP: Final = "stdops_probe"
PROJECT: Final = Path(__file__).parent / "plugin_project"
PACKAGES: Final = ("bk-plugin-framework", "bk-plugin-runtime")

_INSTALL_S: Final = 1200
_START_S: Final = 60
_SERVE: Final = "rundebugserver --noreload 127.0.0.1:{port}"
_WORK: Final = "-A blueapps.core.celery worker -P threads -c 4 -l warning -Q {queues}"
_QUEUES: Final = "plugin_schedule,plugin_callback,schedule_delete"


class NoServiceError(Exception):
    """The real service cannot be had here."""


class RealService(NamedTuple):
    """A service that runs; `folder` holds its data and logs."""

    url: str
    folder: Path


@contextmanager
def real_service(folder: Path) -> Generator[RealService]:
    """Run a service as long as the context lasts, in `folder`.

    Raises:
        NoServiceError: its packages cannot be installed, or it does not start.
    """
    python = _environment()
    _lay_out(folder)
    port = _free_port()
    _run([python, "-m", "django", "migrate"], folder)
    serve = ["-m", "django", *_SERVE.format(port=port).split()]
    work = ["-m", "celery", *_WORK.format(queues=_QUEUES).split()]
    with _process([python, *serve], folder, "web"), _process([python, *work], folder, "work"):
        _await(f"http://127.0.0.1:{port}/bk_plugin/meta/", folder)
        yield RealService(f"http://127.0.0.1:{port}", folder)


# --- its environment --------------------------------------------------------------------------


def _environment() -> str:
    """Return the Python that has the framework; made at the first call on a machine."""
    constraints = PROJECT / "constraints.txt"
    name = sha256(constraints.read_bytes() + sys.version.encode()).hexdigest()[:12]
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "stdops-tests" / f"plugin-service-{name}"
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        _install(folder, python, constraints)
        ready.touch()
    return str(python)


def _install(folder: Path, python: Path, constraints: Path) -> None:
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        for command in (
            [sys.executable, "-m", "venv", str(folder)],
            [*pip, "--upgrade", "pip"],
            [*pip, "-c", str(constraints), *PACKAGES],
        ):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_S)
    except subprocess.CalledProcessError as error:
        last = (error.stderr or error.stdout or "").strip().splitlines()[-1:]
        raise NoServiceError(f"pip cannot install {PACKAGES[0]}: {''.join(last)}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoServiceError(f"pip cannot install {PACKAGES[0]}: {error}") from error


# --- its project ------------------------------------------------------------------------------


def _lay_out(folder: Path) -> None:
    """Write the project as the framework wants it; the queues are folders, so no broker runs."""
    package = folder / "bk_plugin"
    (package / "versions").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "meta.py").write_text('description = "a probe"\n', "utf-8")
    (package / "versions" / "__init__.py").touch()
    shutil.copy(PROJECT / "versions.py", package / "versions" / "ours.py")
    (folder / "data_in").mkdir()
    (folder / "data_out").symlink_to("data_in")


def _settings(folder: Path) -> dict[str, str]:
    """Return the environment variables of its processes."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    nowhere = "http://{api_name}.test"
    return kept | {
        "PYTHONPATH": str(folder),
        "DJANGO_SETTINGS_MODULE": "bk_plugin_runtime.settings",
        "BK_APP_CONFIG_PATH": "bk_plugin_runtime.config",
        "BKPAAS_ENVIRONMENT": "dev",
        "BKPAAS_APP_ID": APP,
        "BKPAAS_APP_CODE": APP,
        "BKPAAS_APP_SECRET": "a-secret-of-tests-0123456789abcdef",
        "BKPAAS_BK_PLUGIN_APIGW_NAME": APP,
        "BKPAAS_URL": "http://paas.test",
        "BK_API_URL_TMPL": nowhere,
        "BK_APIGW_MANAGER_URL_TMPL": nowhere,
        "BK_INIT_SUPERUSER": "admin",
        "BKPAAS_ENGINE_REGION": "open",
        "BKPAAS_MAJOR_VERSION": "3",
        "BKPAAS_LOGIN_URL": "http://login.test",
        "BK_PLUGIN_DEV_USE_MYSQL": "0",
        "BK_PLUGIN_RUNTIME_BROKER_URL": "filesystem://",
    }


# --- its processes ----------------------------------------------------------------------------


def _run(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, env=_settings(folder), capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise NoServiceError(f"{' '.join(command[1:])} failed: {''.join(last)}")


@contextmanager
def _process(command: Sequence[str], folder: Path, name: str) -> Generator[None]:
    """Run a process and its children; what it says stands in a file."""
    with (folder / f"{name}.log").open("wb") as log:
        running = subprocess.Popen(
            command,
            cwd=folder,
            env=_settings(folder),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()


def _await(url: str, folder: Path) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end:
        with suppress(httpx.TransportError):
            if httpx.get(url, trust_env=False).is_success:
                return
        time.sleep(0.2)
    last = (folder / "web.log").read_text("utf-8", "replace").strip().splitlines()[-1:]
    raise NoServiceError(f"the service has not started in {_START_S} s: {''.join(last)}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
