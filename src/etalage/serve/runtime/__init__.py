"""How is a request answered? numpy, ONNX Runtime and HTTP; no torch in this process."""
