from __future__ import annotations

from dynamo_policies.errors import DynamoError


class MissingPackageError(DynamoError):
    """A package of a vendor is not installed."""

    def __init__(self, what: str, package: str, source: str) -> None:
        super().__init__(f"{what} needs the package {package} (of {source}), which is not installed")
