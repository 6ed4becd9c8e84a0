"""What a change would do, before anything is changed: differences, replacements, what is refused and what a person confirms."""
