"""Check whether rules' conditions hold: read the facts of a pass, and derive findings from them.

Of this app it imports only `models`. Begin with findings.py, which is pure.
"""
