"""How far the loss rises around the weights."""
