"""Real processes under every fault that we could think of, and what became of their runs."""
