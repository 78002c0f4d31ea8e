"""Genres and tags: how the book's rows are trained."""
