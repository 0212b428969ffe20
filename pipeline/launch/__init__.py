"""Where Ray Train meets the training loop: it starts, watches and stops runs, and records what they leave."""
