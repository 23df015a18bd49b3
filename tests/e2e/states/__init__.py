"""Every page in every state. Begin with `catalogue.py`; `looks.py` says what is looked at."""
