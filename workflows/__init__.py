"""Workflows: deterministic code that Temporal may replay."""
