"""Models as ONNX and torch.export files, with a parity check."""
