"""Notes of any instrument (multi-pitch estimation)."""
