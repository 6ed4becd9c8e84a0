"""CloudFormation as a service: stacks, their statuses, how often it may be asked, how long it takes, which region answers."""

__all__ = [
    "account",
    "cleanup_failures",
    "durations",
    "end_replication",
    "poller",
    "rate_limit",
    "reachable_regions",
    "schedule",
    "stack",
    "statuses",
]
