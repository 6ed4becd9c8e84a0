"""To destroy: the stacks, what they leave behind, and the snapshots that are taken before."""

__all__ = ["buckets", "destruction", "final_snapshots", "orphans", "restore_tests", "vaults"]
