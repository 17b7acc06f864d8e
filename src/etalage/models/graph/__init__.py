"""Who took what together? Models that read a log as a graph of users and items."""
