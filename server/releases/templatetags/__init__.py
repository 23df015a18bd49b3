"""Template tags for the software of devices on other pages."""
