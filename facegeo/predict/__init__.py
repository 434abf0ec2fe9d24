"""Points and normals of faces in photos and videos; boxes, drawings and files round them."""
