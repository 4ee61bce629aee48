"""Libraries that are installed by an extra: what to say where one is missing."""

from activities.sdk import PluginError


def missing(plugin: str, extra: str, error: ImportError) -> PluginError:
    """Return the failure of a plugin whose library is not there."""
    return PluginError(
        f"plugin {plugin!r} needs {error.name or str(error)!r}, which is not installed on this "
        f"worker: pip install 'stdops[{extra}]', start the worker again, then retry"
    )
