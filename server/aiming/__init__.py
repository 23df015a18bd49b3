"""Pages that show what a device reports while its camera is aimed or its counting is checked.

Start with kept.py and checking.py. A view has numbers and points, and never a picture.
"""
