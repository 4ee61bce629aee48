"""Remote plugins: services that bk-plugin-framework makes, called by their published protocol.

`protocol` has what they answer and the words for what goes wrong, `settings` where they are,
`client` the way there. The plugin itself is `activities.builtin.remote_plugin`.
"""

from activities.remote.client import Invoked, Remote
from activities.remote.protocol import Detail, Progress, State
from activities.remote.settings import TABLE, RemoteSettings

__all__ = [
    "TABLE",
    "Detail",
    "Invoked",
    "Progress",
    "Remote",
    "RemoteSettings",
    "State",
]
