"""Lesions drawn into an image: what they are, where they go, how they look. Shared by phantoms and planted cases."""
