"""An emulated device: a real arm64 Debian, real systemd, and a GPIO line that can be pressed."""
