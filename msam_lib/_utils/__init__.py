"""What every room stands on: files, processes, progress, seeds and devices, the source's state."""
