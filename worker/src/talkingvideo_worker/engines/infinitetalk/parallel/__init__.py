"""Several GPUs for one chunk: one process each, which share guidance's branches and every branch's tokens."""
