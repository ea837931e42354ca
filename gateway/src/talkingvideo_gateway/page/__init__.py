"""The page at ``/``: static files, what they must know of this gateway, and the headers that confine them."""
