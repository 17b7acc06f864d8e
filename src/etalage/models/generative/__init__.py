"""What comes next, spelled out? Models that write semantic ids."""
