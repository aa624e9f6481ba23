"""Small neural networks, architecture and weights together, by gradient descent."""
