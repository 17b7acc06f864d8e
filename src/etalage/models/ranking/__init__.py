"""How likely is this click? Models over feature tables."""
