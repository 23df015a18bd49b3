"""Status and doctor: what runs, what is wrong, and how to fix it.

Start with `doctor`, which lists the checks of the `check_*` files, and `status`.
"""
