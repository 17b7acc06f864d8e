"""What happened? Logs in, immutable tables out."""
