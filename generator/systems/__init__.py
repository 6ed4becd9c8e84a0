"""The systems. A further one is a new module and one more name here."""

from generator.systems.ledger import LEDGER

SYSTEMS = (LEDGER,)
