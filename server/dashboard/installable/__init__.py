"""What lets a phone install the pages as an app. Begin with pages.py."""
