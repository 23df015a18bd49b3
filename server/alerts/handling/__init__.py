"""What people do about an open alert: acknowledge, give back, snooze, hand over; and what follows.

`acts.py` has the actions, behind the pages, the API and the links in messages. `follow_ups.py` is
the part of each pass that reminds and escalates while nobody looks after a condition.
"""
