"""Two nodes in network namespaces, real traffic between their pods, and what the kernel made of it."""
