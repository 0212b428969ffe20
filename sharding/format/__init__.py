"""The format of a shard: a WebDataset tar that is also an array, and the manifest of a data set."""
