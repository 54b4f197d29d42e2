"""Fusions: from the features of the modalities to logits."""
