"""What the transformer is conditioned on: audio, image and text, prepared as the model was trained to take them."""
