"""The training loop (read loop.py first), its checkpoints, and what a run leaves in its folder. No Ray, no MLflow."""
