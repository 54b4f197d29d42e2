"""Shared helpers: files, processes, progress bars, seeds and devices, the state of the source."""
