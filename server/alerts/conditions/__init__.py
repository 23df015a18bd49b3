"""Check whether rules' conditions hold: read the facts of a pass, and derive findings from them.

findings.py has each rule's condition and is pure. trust.py decides which sessions may open an alert
about their numbers; the usual range itself is in session_data/summary/usual.py. timely.py decides
whether data arrived in time. facts.py reads the database. Of this app it imports only `models`.
"""
