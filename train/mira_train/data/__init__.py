"""Data sets: their formats, registry, splits and conversion."""
