"""How likely is this click? Models that score single impressions."""
