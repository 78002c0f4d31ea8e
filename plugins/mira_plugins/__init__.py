"""The tasks that ship with mira, one folder each."""
