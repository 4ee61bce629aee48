"""Wiring: settings, store, worker, embedded server, command line; the only place that knows all."""
