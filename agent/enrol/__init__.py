"""Assign this device to a person: exchange a claim code, then write the configuration.

Start with `enrol`.
"""
