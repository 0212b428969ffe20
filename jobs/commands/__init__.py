"""The subcommands, a file each; cli.py imports them all.

Heavy imports (torch, Ray, MLflow) wait until a command needs them, so that `raygan --help` answers at once.
"""
