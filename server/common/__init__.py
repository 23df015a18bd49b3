"""Shared helpers: codes, tokens, MQTT, parsing, fields, days, names, words, logs, disk space.

Imports no other room and no app's models. Each file stands alone: read them in any order. paging.py
is for lists of members, links and logs; the history has its own.
"""
