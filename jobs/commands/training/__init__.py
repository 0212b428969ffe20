"""Shards in, trained generators out."""
