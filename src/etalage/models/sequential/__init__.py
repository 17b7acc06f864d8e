"""What comes next? Models that read a history in order."""
