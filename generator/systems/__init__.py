"""The systems. A further one is a new module and one more name here."""

from generator.systems.citizen_registry import CITIZEN_REGISTRY
from generator.systems.ledger import LEDGER

SYSTEMS = (CITIZEN_REGISTRY, LEDGER)
