"""The tables. Text ids are uuid4 hex, times are UTC, enums are stored by value, slots as JSON text of exact decimals."""

from ...core.identity import Role, UserStatus
from .accounts import AccountLink, SignUpInvitation
from .active_logins import ActiveLogin
from .base import Base, SlotsText, UTCDateTime, new_id, now
from .calls import CallWindow
from .imports import BulkImport
from .ledger import LedgerAccount, LedgerEntry, SessionBill
from .login import LoginFailure, LoginNote, LoginSource, LoginTicket, OTPToken, RecoveryCode
from .people import DEFAULT_POLICY, DEFAULT_RATE_LIMIT, Domain, Keypair, LocalAccount, Project, ProjectMember, User
from .platform import Announcement, AuditEntry, Lease, Setting
from .policies import KeypairResourcePolicy, ProjectResourcePolicy, UserResourcePolicy
from .resources import (
    ContainerRegistry,
    Image,
    ResourceGroup,
    ResourceGroupDomain,
    ResourceGroupKeypair,
    ResourceGroupProject,
    ResourcePreset,
    ResourceSlotType,
    StorageHost,
)
from .sessions import ComputeSession
from .used_codes import UsedCode
from .vfolders import FolderGate, FolderTask, QuotaScope, SessionMount, Upload, VFolder, VFolderInvitation, VFolderPermission

__all__ = [
    "DEFAULT_POLICY",
    "DEFAULT_RATE_LIMIT",
    "AccountLink",
    "ActiveLogin",
    "Announcement",
    "AuditEntry",
    "Base",
    "BulkImport",
    "CallWindow",
    "ComputeSession",
    "ContainerRegistry",
    "Domain",
    "FolderGate",
    "FolderTask",
    "Image",
    "Keypair",
    "KeypairResourcePolicy",
    "Lease",
    "LedgerAccount",
    "LedgerEntry",
    "LocalAccount",
    "LoginFailure",
    "LoginNote",
    "LoginSource",
    "LoginTicket",
    "OTPToken",
    "Project",
    "ProjectMember",
    "ProjectResourcePolicy",
    "QuotaScope",
    "RecoveryCode",
    "ResourceGroup",
    "ResourceGroupDomain",
    "ResourceGroupKeypair",
    "ResourceGroupProject",
    "ResourcePreset",
    "ResourceSlotType",
    "Role",
    "SessionBill",
    "SessionMount",
    "Setting",
    "SignUpInvitation",
    "SlotsText",
    "StorageHost",
    "UTCDateTime",
    "Upload",
    "UsedCode",
    "User",
    "UserResourcePolicy",
    "UserStatus",
    "VFolder",
    "VFolderInvitation",
    "VFolderPermission",
    "new_id",
    "now",
]
