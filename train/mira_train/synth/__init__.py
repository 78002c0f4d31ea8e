"""Labelled audio from scores: soundfonts, real single notes, rooms."""
