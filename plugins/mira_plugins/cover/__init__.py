"""Cover versions: how the book's rows are trained."""
