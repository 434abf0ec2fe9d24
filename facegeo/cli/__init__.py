"""The commands, one module each; ``app`` is what they share."""
