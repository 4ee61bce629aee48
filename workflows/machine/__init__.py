"""The Machine: a sans-I/O state machine that interprets a plan; events in, commands out."""
