"""From shards to batches: the order of samples, reading, decoding, prefetching, and copies of remote shards."""
