"""What can one type? One thin file a command; heavy imports stay inside the commands."""
