"""Images in, WebDataset shards out."""
