"""`python -m bench.gateway`: Blinklog's store and delivery beside those of ThingsBoard's gateway.

Start with `main`. `blinklog` and `thingsboard` run as processes of their own and are killed, each
in its own environment; `thingsboard` therefore imports nothing of Blinklog. `receiver` is the
server of both.
"""
