"""To destroy: the stacks, what they leave behind, and the snapshots that are taken before."""
