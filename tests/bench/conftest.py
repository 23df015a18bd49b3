"""The fixtures of tests that see a face."""

from tests.faces import clips, model_cache, new_tracker, portrait, tracker

__all__ = ["clips", "model_cache", "new_tracker", "portrait", "tracker"]
