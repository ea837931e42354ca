"""How a process of the worker starts, reports and ends: in a pod, on a terminal."""
