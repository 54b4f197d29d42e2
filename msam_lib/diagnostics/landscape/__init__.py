"""The loss along lines and over planes of the weights."""
