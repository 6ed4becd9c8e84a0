"""The topology after a failover, and the function that fails over and back, as the chain sees them."""

__all__ = ["failover_leftovers", "file_failback", "function", "topology"]
