"""A failover as a program: what is seen, what follows from it, and what is done, one act at a time."""
