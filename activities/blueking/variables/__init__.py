"""Lazy variables that ask the platform when a run needs them."""
