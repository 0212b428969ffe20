"""Networks that turn images into features for the scores."""
