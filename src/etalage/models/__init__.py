"""Who gets what? One file per published system; `registry.py` is the list of them."""
