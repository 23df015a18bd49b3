"""People, and who may see whom."""
