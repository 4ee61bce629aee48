"""The receiver: takes the outside's callbacks by HTTP, keeps them, and delivers them to their runs.

`desk` says what a request means, `app` speaks HTTP, `courier` delivers, `serving` starts it all.
"""
