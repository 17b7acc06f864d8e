"""Does a memory remember? Users whose facts are known, what they say, and questions about it."""
