"""The rules: each is data (id, statement, reason, source, types) and a function that judges one resource.

Rules know no regulation; a profile maps them to control ids, and a rule that is in no profile is asked by nobody, which a test
rules out.
"""
