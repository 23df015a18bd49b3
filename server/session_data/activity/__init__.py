"""What a person did during a session: people choose it afterwards. Begin with choose.py."""
