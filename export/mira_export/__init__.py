"""From a checkpoint to a model file that mira ships."""
