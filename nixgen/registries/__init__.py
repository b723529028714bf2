"""Registries of images and artifacts (OCI distribution specification 1.1): who may enter, and what is sent."""
