"""Generated faces: heads, skin, light, camera, and the folders they are written to."""
