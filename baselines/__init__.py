"""A release -> trained networks (masks only, reports only, combined) -> submissions."""
