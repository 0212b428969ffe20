"""What a person types, and how it reaches a cluster."""
