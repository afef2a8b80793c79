"""The merged view of an image: one tree over all layers, and what its files say of themselves."""
