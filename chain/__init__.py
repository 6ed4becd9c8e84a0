"""Deploys plain templates: a system's stacks in dependency order, each fed by the outputs of earlier ones.

It reads ``templates/``, ``parameters/`` and its own ``types.json``, speaks the words of ``model/`` and ``protocol/``, and reaches
AWS only through the function ``(service, region) -> client`` that it is given.
"""
