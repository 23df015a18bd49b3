"""Management commands: see commands/, one file each; shared.py has what several need."""
