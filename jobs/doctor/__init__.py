"""`raygan doctor`: is a cluster fit for what it is meant to do, before it is paid for?

`probes.py` is what each node finds out about itself, in one Ray task; `checks.py` has one short function per check of
what was found; `collective.py` lets the nodes reduce a tensor together; `examine.py` runs it all; `report.py` prints.
"""
