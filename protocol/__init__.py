"""What a failover's function agrees on with everybody else: words, names and what follows from them.

The chain, rules, sums, runbooks and templates ask here what the function knows. Plain data and pure functions of the standard
library alone, for it is packed into every function beside ``common/``.
"""
