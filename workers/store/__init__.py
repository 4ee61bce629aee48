"""The store: templates by version, plans by digest, documents as imported, callbacks received.

All calls are short and synchronous; asynchronous callers run them in a thread.
"""

from workers.store.inbox import Callback, Inbox
from workers.store.store import NewTemplate, Saved, Store, StoredTemplate

__all__ = ["Callback", "Inbox", "NewTemplate", "Saved", "Store", "StoredTemplate"]
