"""The store: templates by version, plans by digest, documents as they were imported.

All calls are short and synchronous; asynchronous callers run them in a thread.
"""

from workers.store.store import NewTemplate, Saved, Store, StoredTemplate

__all__ = ["NewTemplate", "Saved", "Store", "StoredTemplate"]
