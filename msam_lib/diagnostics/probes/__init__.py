"""Representations, gradients, robustness and generalisation of each modality."""
