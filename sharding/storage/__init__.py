"""Folders in a file system or an object store, locks in them, and how often a failed access is tried again."""
