"""What fixed seeds give, recorded, so that a change which is meant to change no result shows that it does not."""
