"""Trained models as files that run without facegeo: ONNX and torch.export."""
