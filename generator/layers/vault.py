"""The vault layer."""

from dataclasses import dataclass

from awacs import backup as actions
from awacs.aws import StringNotEquals
from troposphere import GetAtt, Ref, backup

from generator.layer import Layer
from generator.parts import policies
from generator.template import Template


@dataclass(frozen=True, kw_only=True)
class Vault(Layer):
    """Where recovery points are kept, encrypted with a key of their own."""

    name: str = "vault"
    kind: str = "backup-vault"

    def define(self, t: Template) -> None:
        vault = backup.BackupVault(
            "Vault",
            DeletionPolicy="Delete",
            UpdateReplacePolicy="Delete",
            BackupVaultName=t.named(self.kind),
            EncryptionKeyArn=t.output_of("keys.BackupKeyArn"),
            AccessPolicy=policies.plain(
                policies.document(
                    policies.deny(
                        "DenyOtherAccounts",
                        [actions.CopyIntoBackupVault],  # AWS Backup takes no wildcard, and refuses them the rest by itself
                        ["*"],
                        StringNotEquals("aws:PrincipalAccount", Ref("AWS::AccountId")),
                        to=policies.ANYONE,
                    )
                )
            ),
        )
        t.section("The vault. Not locked: every environment must be destroyable.", vault)
        t.output("VaultName", Ref(vault), "The vault.")
        t.output("VaultArn", GetAtt(vault, "BackupVaultArn"), "The vault.")
