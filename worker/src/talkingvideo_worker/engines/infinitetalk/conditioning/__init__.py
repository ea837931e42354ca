"""What the transformer is told: sound, picture and words, as the model was trained to take them."""
