"""Shards in, a trained generator out."""
