"""What Blinklog's numbers are worth: each module prints one table beside its peers."""
