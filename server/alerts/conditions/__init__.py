"""Whether a rule's condition holds: the facts that a pass reads, and the findings made of them.

Imports only `models` of the app. Begin with findings.py, which is pure.
"""
