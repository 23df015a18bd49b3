"""Power cuts that lose, tear and reorder whatever was not fsynced; and what is left afterwards.

Begin with `main`. `filesystem` is a FUSE file system that records every change and every fsync,
`recording` mounts it, and `disk` says what a power cut may leave of a recording. Each module whose
name begins with `with_` drives one part of the product on it.
"""
