"""Every page in every state. Begin with `catalogue.py`; `looks.py` says what is looked at.

./check looks at each state once. Each state in every way takes an hour:
    BLINKLOG_EVERY_LOOK=1 pytest --all tests/e2e/states
"""
