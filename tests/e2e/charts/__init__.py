"""Charts in a browser: reading them by pointer, keyboard and finger, and choosing days in them."""
