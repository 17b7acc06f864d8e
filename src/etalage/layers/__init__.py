"""What are networks made of? Pure nn.Modules: no settings, no files."""
