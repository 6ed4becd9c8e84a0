"""CloudFormation as a service: stacks, their statuses, how often it may be asked, how long it takes, which region answers."""
