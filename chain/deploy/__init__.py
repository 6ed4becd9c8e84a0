"""To deploy: what is checked first, the plan, the packages of functions, the stacks, and what stands at the end."""

__all__ = ["account_checks", "deployment", "packages", "plan", "preflight", "rotation", "saved_plan", "status"]
