"""The codec server: lets the Web UI and the temporal command read what the codec has encrypted."""
