"""Activities: everything that touches the network, the clock, secrets or untrusted code."""
