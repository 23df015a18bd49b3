"""Template tags for alerts on other pages."""
