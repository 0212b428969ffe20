"""Generators and discriminators, one pair per file."""
