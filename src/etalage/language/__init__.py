"""What does text mean? Encoders that turn text into vectors, and models that answer in text."""
