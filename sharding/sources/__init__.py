"""The data sets that can be converted: one file for each form that they come in."""
