"""What is minimised: the contract (base.py), and an objective per file or folder."""
