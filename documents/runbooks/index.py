"""The first page: who does what on a bad night, and where each trouble's procedure is."""

from __future__ import annotations

from collections.abc import Sequence

from documents.runbooks.page import Section, anchor

TROUBLE = (
    ("A mail says ALARM", ("Alarms",)),
    ("The application cannot connect", ("Connect",)),
    ("The database or a zone is gone", ("Loss of a zone", "Failover test")),
    ("A region is gone", ("Loss of the region",)),
    ("A failover is refused, or waits", ("What stands against a failover",)),
    ("A failover ended as `broken`", ("A broken topology",)),
    ("The lost region is back", ("Failback",)),
    ("The primary region is to be left, as planned", ("Planned switchover",)),
    ("Data were changed or deleted by mistake", ("Corruption", "Point-in-time recovery")),
    ("Files were changed or deleted by mistake", ("Restore files",)),
    ("Objects were changed or deleted by mistake", ("Bring objects back",)),
    ("A table of DynamoDB was changed or deleted by mistake", ("Restore the table",)),
    ("An older state is needed", ("Restore from a snapshot",)),
    ("A password or key may be known to others", ("Credential leak",)),
    ("A deployment does not end, or ended badly", ("A stack is stuck",)),
    ("A key was disabled or is to be deleted", ("Clean up",)),
    ("No mail ever comes", ("Confirm the e-mail subscription",)),
    ("The engine must be upgraded", ("Minor engine upgrade",)),
    ("Somebody asks what it costs", ("Costs",)),
)
"""What is seen first, and the section that begins there: the first of these that a page has."""

ROLES = (
    (
        "First on call",
        "says within 15 minutes that somebody is on it; finds the row above; sees that 15 minutes later it is decided what is "
        "done; keeps a log with times",
        "restore, swap, destroy alone",
    ),
    (
        "Database owner",
        "decides between waiting, copying back and swapping; says which second the data were right",
        "type in production alone",
    ),
    (
        "Deployer",
        "has the deployer's policy; runs `make`, one command at a time, reads each before the next; within 10 minutes all of a "
        "procedure are typed",
        "change templates at night",
    ),
    (
        "Security",
        "is called for every leak and every alarm of the root user, the trail or the keys; decides what is kept as evidence",
        "wait for the morning",
    ),
    ("Speaker", "tells users and management, every hour, what is known", "ask the others in between"),
)
"""Who does what, and what they do not do. The minutes are the bounds of ``person.*`` in recovery/service_times.yaml."""

RULES = (
    "**Look first.** `make status`, then the row below. Within a region a failover ends by itself in a minute or two: you are "
    "not faster.",
    "**Stop what does harm** before you repair what it did.",
    "**Restores make new instances.** Nothing is overwritten but by *Clean up*; the renames of a swap cut everybody off.",
    "**Two people** before a swap, a destroy, a rename, or a key.",
    "**Never by hand what a template says**, unless a runbook says so; afterwards `make drift` must find nothing.",
    "Write down what was done and when. In the morning it becomes a change, or a line in a runbook.",
)


def index(pages: Sequence[tuple[str, Sequence[Section]]]) -> str:
    """``docs/operations/README.md``, of pages by their names."""
    names = [name for name, _ in pages]
    has = [(name, {one.title for one in found}) for name, found in pages]
    rows = []
    for seen, titles in TROUBLE:
        links = [next((f"[{title}]({name}.md{anchor(title)})" for title in titles if title in of), "–") for name, of in has]
        rows.append(f"| {seen} | {' | '.join(links)} |")
    head = f"| what you see | {' | '.join(f'[{name}]({name}.md)' for name in names)} |"
    return "\n".join(
        [
            "# On a bad night\n",
            *(f"{number}. {rule}" for number, rule in enumerate(RULES, 1)),
            "\n## Where to begin\n",
            head,
            "|---|" + "---|" * len(names),
            *rows,
            "\n## Who does what\n",
            "| who | does | does not |\n|---|---|---|",
            *(f"| **{who}** | {does} | {never} |" for who, does, never in ROLES),
            "\nOne person may be several; nobody is the deployer and the only witness of a swap or a destroy.\n",
        ]
    )
