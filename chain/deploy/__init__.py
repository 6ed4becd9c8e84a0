"""To deploy: what is checked first, the plan, the packages of functions, the stacks, and what stands at the end."""
