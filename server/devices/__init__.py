"""Devices: whose they are, how they prove who they are, when they were last heard of."""
