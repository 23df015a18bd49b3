"""Monitoring: request metrics, MQTT document counts, and heartbeats of the server's processes.

Imports no other room. Start with signs.py (heartbeats); metrics.py counts requests for Prometheus.
"""
