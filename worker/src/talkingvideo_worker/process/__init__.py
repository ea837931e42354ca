"""How a process of the worker starts, speaks and ends."""
