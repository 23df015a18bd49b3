"""What an operator can watch: request counts, MQTT tallies, signs of life of each process.

Imports no other room. Begin with signs.py; metrics.py counts requests for Prometheus.
"""
