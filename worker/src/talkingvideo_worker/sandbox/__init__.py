"""Runs the decoders of untrusted files in children that the kernel confines: memory, time, system calls, folders."""
