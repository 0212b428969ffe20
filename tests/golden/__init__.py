"""Recorded results of fixed seeds: a change that is meant to change no result shows that it does not."""
