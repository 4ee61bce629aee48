"""The BlueKing platform: its clients, and the plugins that call them."""
