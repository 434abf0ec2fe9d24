"""Photos, folders and videos to faces."""
