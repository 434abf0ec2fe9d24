"""Generated faces."""
