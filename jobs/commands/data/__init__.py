"""Faces in, shards out."""
