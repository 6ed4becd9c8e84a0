"""Which resource a request is about, where ministack takes it to be about all of them."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

VAULT = re.compile(r"/backup-vaults/([^/]+)")


def install() -> None:
    from ministack.core import iam_actions

    theirs = iam_actions.extract_resource_arn

    def extract(service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str) -> str:
        found = str(theirs(service, method, path, headers, body, query, region, account))
        vault = VAULT.match(path) if service == "backup" else None
        return f"arn:aws:backup:{region}:{account}:backup-vault:{unquote(vault[1])}" if found == "*" and vault else found

    iam_actions.extract_resource_arn = extract
