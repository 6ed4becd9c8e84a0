"""What has to be said of a system that answers a baseline of FedRAMP, whichever it is."""

from model import System

AUTHORISED = "us-"
"""How the names of AWS's regions in the United States begin, GovCloud's too: its FedRAMP authorisations name no others."""


def remark(system: System, stated: int, whole: int) -> str:
    """How many controls of the baseline stand here, and whether an authorisation can hold where the system runs."""
    thin = (
        f"{stated} of the {whole} controls of the baseline stand here so far: those to which templates "
        "have something to say. The others are not answered, and policies and procedures are the agency's."
    )
    outside = sorted(region for region in system.regions.values() if not region.startswith(AUTHORISED))
    if not outside:
        return f"{system.name}: controls aligned; an authorisation is the agency's to give. {thin}"
    return (
        f"**{system.name} runs in {', '.join(outside)}: controls aligned, not authorised in "
        f"{'this region' if len(outside) == 1 else 'these regions'}.** AWS's FedRAMP "
        f"authorisations cover its regions in the United States only, and no template changes that. {thin}"
    )
