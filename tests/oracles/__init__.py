"""A second, slow implementation of the model in plain Python, to compare the kernel with."""
