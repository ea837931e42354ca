"""Several GPUs for one chunk: one process per GPU; they divide guidance's branches and the tokens of each branch."""
