"""To a cluster and back."""
