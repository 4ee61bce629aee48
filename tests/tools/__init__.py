"""Tools that write what the documentation shows from the code itself."""
