"""An emulated device: a real arm64 Debian with real systemd, and a GPIO line that can be pressed."""
