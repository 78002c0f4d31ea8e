"""Embeddings by contrastive learning, and their linear probe: how the book's rows are trained."""
