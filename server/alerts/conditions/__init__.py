"""Check whether rules' conditions hold: read the facts of a pass, and derive findings from them.

findings.py has each rule's condition and is pure. usual.py has a person's usual range, and how many
sessions, days and minutes it needs. timely.py decides whether data arrived in time. facts.py reads
the database. Of this app it imports only `models`.
"""
