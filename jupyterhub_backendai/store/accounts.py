"""Accounts of the embedded directory that people make themselves, and the links that are mailed for them.

Links are kept as hashes and good once. Everything here runs with ``run_exclusive``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.orm import Session

from ..core.accounts import ABANDONED_AFTER, BAD_INVITATION, LINK_LIFE, MAILS_AN_HOUR, REGISTERED, RESET, TAKEN, VERIFY, SignUp
from ..core.identity import Role, UserStatus
from ..errors import N_, InvalidParameters, NotFound, Violation
from . import audit, users
from .models import AccountLink, Domain, LocalAccount, LoginFailure, Project, ProjectMember, SignUpInvitation, User

LINK_OVER = N_("This link is not good any more: it was used already, or is too old. Ask for a new one.")
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What a sign-up makes. ``is_open``: the person may log in at once, without a link or somebody's approval."""

    form: SignUp
    password_hash: str
    invitation_hash: str
    groups: tuple[str, ...]
    domain: str
    agreed_terms: str
    is_open: bool
    needs_verification: bool
    language: str
    source: str


@dataclass(frozen=True, slots=True)
class Addressee:
    """Somebody to write to."""

    name: str
    email: str
    language: str
    kind: str = ""


# -- signing up


def sign_up(db: Session, new: NewAccount, at: datetime) -> None:
    """Make account and user. Raises InvalidParameters for what is taken, and for an invitation that is not good."""
    form = new.form
    _lock_email(db, form.email, at)
    if new.needs_verification:
        _remove_abandoned(db, form, at)
    if found := _list_taken(db, form):
        raise InvalidParameters(violations=found)
    domain, projects = _use_invitation(db, new, at) if new.invitation_hash else (new.domain, ())
    if not users.insert_missing(db, LocalAccount, **_account_columns(new, at)):
        raise InvalidParameters(violations=[Violation(TAKEN, {}, "username", "taken")])
    users.insert_missing(db, Domain, name=domain, description="", is_active=True, created_at=at)
    user = User(name=form.name, display_name=form.display_name, email=form.email, domain=domain, language=new.language, created_at=at)
    user.domain_source = "site" if new.invitation_hash else "directory"
    user.role, user.status = Role.USER, UserStatus.ACTIVE if new.is_open else UserStatus.BEFORE_VERIFICATION
    db.add(user)
    db.flush()
    ids = db.scalars(select(Project.id).where(Project.domain == domain, Project.name.in_(projects)))
    db.add_all(ProjectMember(user_id=user.id, project_id=project_id) for project_id in ids)
    audit.record(db, actor=form.name, action="sign-up", object=form.name, source=new.source, details={"email": form.email})


def _account_columns(new: NewAccount, at: datetime) -> dict[str, object]:
    return {
        "name": new.form.name,
        "password_hash": new.password_hash,
        "display_name": new.form.display_name,
        "email": new.form.email,
        "groups": list(new.groups),
        "is_active": True,
        "must_change_password": False,
        "password_changed_at": at,
        "signed_up_at": at,
        "agreed_terms": new.agreed_terms,
        # Who may come at once needs no mail that says so.
        "welcomed_at": at if new.is_open else None,
        "created_at": at,
    }


def _lock_email(db: Session, email: str, at: datetime) -> None:
    """Two who sign up with one address at once wait for each other."""
    _lock(db, f"email:{email}", at)


def _lock(db: Session, key: str, at: datetime) -> None:
    """Hold a key until the end of the transaction; whatever row it is, nobody looks at what is in it."""
    users.insert_missing(db, LoginFailure, key=key, count=0, until=None, updated_at=at)
    db.execute(select(LoginFailure.key).where(LoginFailure.key == key).with_for_update())


def _list_taken(db: Session, form: SignUp) -> list[Violation]:
    found = []
    if db.get(LocalAccount, form.name) or db.scalar(select(User.id).where(User.name == form.name)):
        found.append(Violation(TAKEN, {}, "username", "taken"))
    if _is_registered(db, form.email):
        found.append(Violation(REGISTERED, {}, "email", "taken"))
    return found


def _is_registered(db: Session, email: str) -> bool:
    columns = ((LocalAccount.name, LocalAccount.email), (User.name, User.email))
    return any(db.scalar(select(key).where(_is_address(column, email)).limit(1)) for key, column in columns)


def _is_address(column: object, email: str) -> ColumnElement[bool]:
    return func.lower(column) == email


def _remove_abandoned(db: Session, form: SignUp, at: datetime) -> None:
    """Whoever never opened the link in the mail leaves name and address to others after a while."""
    found = select(LocalAccount.name).join(User, User.name == LocalAccount.name)
    found = found.where(
        or_(LocalAccount.name == form.name, _is_address(LocalAccount.email, form.email)),
        LocalAccount.signed_up_at < at - ABANDONED_AFTER,
        LocalAccount.email_verified_at.is_(None),
        User.status == UserStatus.BEFORE_VERIFICATION,
        User.last_login_at.is_(None),
    )
    for name in db.scalars(found).all():
        db.execute(delete(AccountLink).where(AccountLink.user_name == name))
        db.execute(delete(User).where(User.name == name))
        db.execute(delete(LocalAccount).where(LocalAccount.name == name))
        audit.record(db, actor="system", action="sign-up", object=name, result="abandoned")
    db.expire_all()


def _use_invitation(db: Session, new: NewAccount, at: datetime) -> tuple[str, Sequence[str]]:
    """Count one use; where the invited person belongs."""
    used = db.execute(
        update(SignUpInvitation)
        .where(
            SignUpInvitation.token_hash == new.invitation_hash,
            SignUpInvitation.uses < SignUpInvitation.max_uses,
            or_(SignUpInvitation.expires_at.is_(None), SignUpInvitation.expires_at > at),
            or_(SignUpInvitation.email == "", _is_address(SignUpInvitation.email, new.form.email)),
        )
        .values(uses=SignUpInvitation.uses + 1)
        .returning(SignUpInvitation.domain, SignUpInvitation.projects)
    ).first()
    if used is None:
        raise InvalidParameters(violations=[Violation(BAD_INVITATION, {}, "invitation", "unknown")])
    return used.domain, tuple(used.projects)


# -- links in mail


def add_link(db: Session, link_id: str, kind: str, name: str, email: str, at: datetime) -> bool:
    """Keep a link; False when this person got so many already that they get no more for now."""
    _lock(db, f"link:{kind}:{name}", at)
    recent = select(func.count()).where(AccountLink.user_name == name, AccountLink.kind == kind, AccountLink.created_at > at - _HOUR)
    if (db.scalar(recent) or 0) >= MAILS_AN_HOUR:
        return False
    db.add(AccountLink(id=link_id, kind=kind, user_name=name, email=email, created_at=at, expires_at=at + LINK_LIFE[kind]))
    db.flush()
    return True


def find_link(db: Session, link_id: str, kind: str, at: datetime) -> str:
    """Whose link this is. Raises NotFound for one that is not good."""
    row = db.get(AccountLink, link_id)
    if row is None or row.kind != kind or row.used_at is not None or row.expires_at <= at:
        raise NotFound(LINK_OVER)
    return row.user_name


def _use_link(db: Session, link_id: str, kind: str, at: datetime) -> AccountLink:
    """Use a link up: of many who do it at once, one does. Raises NotFound."""
    good = (AccountLink.id == link_id, AccountLink.kind == kind, AccountLink.used_at.is_(None), AccountLink.expires_at > at)
    used = db.execute(update(AccountLink).where(*good).values(used_at=at).execution_options(synchronize_session=False))
    if not used.rowcount:  # type: ignore[attr-defined]
        raise NotFound(LINK_OVER)
    return db.get_one(AccountLink, link_id, populate_existing=True)


def verify_email(db: Session, link_id: str, needs_approval: bool, source: str, at: datetime) -> Addressee:
    """The address is this person's: they may come, unless somebody has to approve (``kind`` ``approval``). Raises NotFound."""
    link = _use_link(db, link_id, VERIFY, at)
    account = db.get(LocalAccount, link.user_name)
    user = db.scalars(select(User).where(User.name == link.user_name).with_for_update()).one_or_none()
    if account is None or user is None or account.email != link.email or user.status is UserStatus.INACTIVE:
        raise NotFound(LINK_OVER)
    account.email_verified_at = at
    waits = user.status is UserStatus.BEFORE_VERIFICATION and needs_approval
    if user.status is UserStatus.BEFORE_VERIFICATION and not needs_approval:
        user.status, account.welcomed_at = UserStatus.ACTIVE, at
    audit.record(db, actor=user.name, action="verify-email", object=user.name, source=source)
    return Addressee(user.name, account.email, user.language, "approval" if waits else "done")


def list_forgetful(db: Session, name: str, email: str) -> list[Addressee]:
    """Whom to write to who forgot a password: active people get ``reset``, who never opened the first link gets ``verify``.

    The mail goes to the address that is kept here, never to the one that was typed.
    """
    found = select(LocalAccount, User).outerjoin(User, User.name == LocalAccount.name)
    found = found.where(
        or_(LocalAccount.name == name, _is_address(LocalAccount.email, email)), LocalAccount.is_active, LocalAccount.email != ""
    )
    people = []
    for account, user in db.execute(found.order_by(LocalAccount.name).limit(MAILS_AN_HOUR)):
        if user is None or user.status is UserStatus.ACTIVE:
            kind = RESET
        elif user.status is UserStatus.BEFORE_VERIFICATION and account.signed_up_at and account.email_verified_at is None:
            kind = VERIFY
        else:
            continue
        people.append(Addressee(account.name, account.email, user.language if user else "", kind))
    return people


def reset_password(db: Session, link_id: str, password_hash: str, source: str, at: datetime) -> Addressee:
    """Keep the new password of who opened the link; every other link of theirs is over. Raises NotFound."""
    link = _use_link(db, link_id, RESET, at)
    account = db.get(LocalAccount, link.user_name)
    if account is None or not account.is_active or account.email != link.email:
        raise NotFound(LINK_OVER)
    users.set_password_hash(db, account.name, password_hash)
    others = update(AccountLink).where(AccountLink.user_name == account.name, AccountLink.kind == RESET, AccountLink.used_at.is_(None))
    db.execute(others.values(used_at=at).execution_options(synchronize_session=False))
    audit.record(db, actor=account.name, action="reset-password", object=account.name, source=source)
    language = db.scalar(select(User.language).where(User.name == account.name))
    return Addressee(account.name, account.email, language or "")


# -- afterwards


def has_unwelcomed(db: Session) -> bool:
    """Whether :func:`take_welcomed` would find somebody."""
    return db.scalar(select(LocalAccount.name).where(*_unwelcomed()).limit(1)) is not None


def _unwelcomed() -> tuple[ColumnElement[bool], ...]:
    active = select(User.name).where(User.status == UserStatus.ACTIVE)
    return LocalAccount.signed_up_at.is_not(None), LocalAccount.welcomed_at.is_(None), LocalAccount.name.in_(active)


def take_welcomed(db: Session, at: datetime) -> list[Addressee]:
    """Who signed up and was made active since the last look: each is told by whoever gets them here, so once."""
    taken = db.scalars(
        update(LocalAccount)
        .where(*_unwelcomed())
        .values(welcomed_at=at)
        .returning(LocalAccount.name)
        .execution_options(synchronize_session=False)
    ).all()
    found = select(LocalAccount.name, LocalAccount.email, User.language).join(User, User.name == LocalAccount.name)
    return [Addressee(row.name, row.email, row.language) for row in db.execute(found.where(LocalAccount.name.in_(taken)))]


def remove_stale_links(db: Session, at: datetime) -> None:
    """Remove links that nobody can use any more."""
    db.execute(delete(AccountLink).where(AccountLink.expires_at < at - _HOUR))
