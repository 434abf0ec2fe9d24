"""Files: whole writes, locks, caches, images, faults, tables."""
