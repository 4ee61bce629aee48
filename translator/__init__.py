"""The translator: bytes of an export in, diagnostics or a Plan out; pure."""
