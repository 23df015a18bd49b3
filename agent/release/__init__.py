"""Updates: take a release that the server offers, if the operator's key has signed it.

    sync: ask -> download -> check -> request.json | root: take -> check again -> unpack -> install

`updater` is sync's side, `installing` the root service's, `handover` the files between them. What
the server says, and what sync hands over, is untrusted: only a signature of the key that was pinned
when the device was enrolled counts.
"""
