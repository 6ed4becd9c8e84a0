"""What a change would do, before anything is changed: differences, replacements, what is refused and what a person confirms."""

__all__ = ["guard", "network_interfaces", "property_diff", "replacements", "review", "template_diff"]
