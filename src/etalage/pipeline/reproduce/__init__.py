"""Do published figures hold here? Their tables, computed again."""
