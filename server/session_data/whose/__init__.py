"""Whose session it is: people mark one as somebody else's. Begin with mark.py."""
