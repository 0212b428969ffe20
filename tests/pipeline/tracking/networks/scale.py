"""Imported by blocks.py, so only indirectly by mixed.py."""

SCALE = 2.0
