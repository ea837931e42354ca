"""Files of published weights: which they are, whether they are complete, and how networks are read from them."""
