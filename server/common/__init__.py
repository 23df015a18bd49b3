"""Helpers that every room uses: codes, tokens, MQTT, parsing, fields, days, words, logs.

Imports no other room, and no model of an app. Each file stands alone; there is no order to read in.
"""
