"""What every function shares; packed beside its handler."""
