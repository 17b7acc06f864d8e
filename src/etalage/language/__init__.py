"""What does text mean? Encoders that turn text into vectors."""
