"""What is deployed, and with which values: committed templates, parameter files, and the graph of stacks that both make."""

__all__ = ["exit_codes", "graph", "parameters", "stack_values", "templates"]
