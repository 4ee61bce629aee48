"""The components of BlueKing, row by row: what each is given, what it asks, and how it ends."""
