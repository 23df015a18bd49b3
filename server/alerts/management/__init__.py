"""Management commands: see commands/, one file each."""
