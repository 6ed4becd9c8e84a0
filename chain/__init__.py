"""Deploys plain templates: a system's stacks in dependency order, each fed by the outputs of earlier ones.

It reads ``templates/`` and ``parameters/`` and nothing else of this project, and it reaches AWS only through the function
``(service, region) -> client`` that it is given.
"""
