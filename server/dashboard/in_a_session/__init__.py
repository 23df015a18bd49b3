"""Parts of a session's page: its blinks, how far each eye closed, and its reminders."""
