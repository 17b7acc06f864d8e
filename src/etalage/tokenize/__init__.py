"""How is an item spelled? Quantisers, collisions, health report, trie."""
