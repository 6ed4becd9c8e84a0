"""The log archive: committed changes of one database, from a logical slot into hash-chained segments on a file system.

A chain of numbered entries, each a gzip file: a header (JSON), the rows of the decoder as COPY writes them, and an end (JSON).
Every header holds the digest of the entry before it. ``replay`` reads the same format and shares no code with this.
"""
