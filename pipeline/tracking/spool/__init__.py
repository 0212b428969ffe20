"""Writes to MLflow by way of the disk.

`writer` appends them to a `spool`, `delivery` sends what is in it, and `flush` sends what an earlier process left.
"""
