"""`raygan doctor`: is a cluster fit for what it shall do, before it is paid for?

`node.py` is what each node finds out about itself, in one Ray task; `checks.py` holds one short function per check,
which judges what was found; `collective.py` lets the nodes reduce a tensor together; `examine.py` brings them together.
"""
