"""OCI images as values, their layers, and how they are written; runs by itself, and is copied into projects."""
