"""Random plans under random orders of events, on the Machine alone."""
