"""What commands print while they work: progress, tables, settings as flags."""
