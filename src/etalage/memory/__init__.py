"""What do we know of them? A store that remembers and forgets, and a simulator that tests it."""
