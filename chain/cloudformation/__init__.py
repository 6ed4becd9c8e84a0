"""CloudFormation as a service: stacks, their statuses, how often it may be asked, how long it takes, which region answers."""

__all__ = [
    "account",
    "detach",
    "durations",
    "poller",
    "rate_limit",
    "region_state",
    "retained",
    "schedule",
    "stack",
    "statuses",
]
