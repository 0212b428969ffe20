"""FID, KID and their kin: exact, distributed over the training workers, and never without an identity."""
