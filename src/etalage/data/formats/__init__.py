"""How is a log written down? One file per format; each returns a `RawLog`."""
