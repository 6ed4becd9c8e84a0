"""One page for people, ``docs/index.html``: what was rendered and what the judges found, as pictures and tables in one file."""
