"""Runs recorded vectors of the real system against the product: `python -m tests.vectors PATH`."""
