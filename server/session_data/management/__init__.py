"""Management commands: one file each in commands/."""
