"""Status and doctor: what runs, what is wrong, and how to fix it.

`doctor` runs the checks of the `check_*` files, which have their limits: `check_system` of disk,
store, clock and services, `check_camera`, `check_controls`, `check_network`. `status` collects the
report of `blink-agent status`, and `status_text` prints it.
"""
