"""The subcommands, a file per subject; cli.py imports them all. Each function parses; what it does lives in the rooms.

Heavy imports (torch, Ray, MLflow) wait until a command needs them, so that `raygan --help` answers at once.
"""
