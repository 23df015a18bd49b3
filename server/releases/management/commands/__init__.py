"""Commands of `blink-server`, one file each. They import models only when they run."""
