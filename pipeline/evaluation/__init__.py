"""FID, KID, precision, recall, density and coverage, computed on any number of workers, each with its identity."""
