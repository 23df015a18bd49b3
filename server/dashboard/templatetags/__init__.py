"""Template tags of the base page."""
