"""Commands of `blink-server`, one file each. They import their models where they run."""
