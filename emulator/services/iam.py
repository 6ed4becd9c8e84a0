"""IAM: roles that services make for themselves bear the names that AWS gives them."""

from __future__ import annotations

from typing import Any

from emulator import callers
from emulator.services.rds_api import Action, Answer


def install() -> None:
    from ministack.services import iam

    iam._IAM_HANDLERS["CreateServiceLinkedRole"] = _named(iam._IAM_HANDLERS["CreateServiceLinkedRole"])


def _named(theirs: Action) -> Action:
    def create(p: dict[str, Any]) -> Answer:
        from ministack.services import iam

        service = str(iam._p(p, "AWSServiceName"))
        name = callers.role_of(service)
        if name and name in iam._roles:
            taken: Answer = iam._error(400, "InvalidInput", f"Service role name {name} has been taken in this account.", ns="iam")
            return taken
        answer = theirs(p)
        made = next((one for one in iam._roles.values() if one["Path"] == f"/aws-service-role/{service}/"), None)
        if answer[0] >= 300 or made is None or not name:
            return answer
        before = made["RoleName"]
        del iam._roles[before]
        made.update(RoleName=name, Arn=made["Arn"].replace(before, name))
        iam._roles[name] = made
        return answer[0], answer[1], answer[2].replace(before.encode(), name.encode())

    return create
