"""Every setting of ours, once. The hub and the service read the same ``jupyterhub_config.py``."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

from traitlets import Bool, Dict, Float, Integer, List, TraitError, Unicode, default
from traitlets.config import Config
from traitlets.config.loader import ConfigFileNotFound, PyFileConfigLoader

from .config_slurm import SlurmSettings
from .core.addresses import AddressRules, parse_networks
from .core.mapping import MappingRules, parse_rules
from .core.names import fold_name
from .core.prices import Billing, Currency, check_prices
from .core.queues import Queue, check_queue, queue_from_json
from .core.slots import ResourceSlots
from .core.storage_hosts import ConfiguredHost, read_hosts
from .errors import N_, InvalidParameters


class BackendAI(SlurmSettings):
    """The platform. ``c.BackendAI.<name> = …`` in ``jupyterhub_config.py``."""

    # -- where things are
    state_dir = Unicode("/var/lib/jupyterhub-backendai", config=True, help=N_("Directory of the database, the sockets and the secrets."))
    secrets_file = Unicode(config=True, help=N_("JSON file (mode 0600) with the secrets; `script/run` makes it once."))
    database_url = Unicode(config=True, help=N_("SQLAlchemy URL of our own database; default: SQLite in state_dir."))
    private_url = Unicode(config=True, help=N_("Where the service listens for the hub: unix:///path or http://127.0.0.1:port."))
    hub_id = Unicode("hub", config=True, help=N_("Tells two hubs on one cluster apart; part of the job name."))
    site_name = Unicode("Backend.AI on JupyterHub", config=True, help=N_("Name of the site, on pages and in authenticator apps."))

    # -- logging in
    directory = Unicode("local", config=True, help=N_("Who knows the passwords: `local` (hashes in our database) or `ldap`."))
    otp_required = Bool(True, config=True, help=N_("Ask everybody for a one-time password; who has no token yet enrols while logging in."))
    otp_form = Unicode(
        "one-page", config=True, help=N_("Where the code is typed: `one-page`, or `two-step` for a page of its own after it.")
    )
    otp_forced_from = List(
        Dict(),
        config=True,
        help=N_(
            "From when people need a one-time password, such as {'from': '2027-01-01', 'project': 'hpc'}: `from` and any of `domain`, "
            "`project` and `role`; the first entry that fits counts, and whom none fits needs none. Empty: everybody, now."
        ),
    )
    trusted_proxies = List(
        Unicode(),
        ["127.0.0.0/8", "::1/128"],
        config=True,
        help=N_("Addresses and networks of proxies whose `X-Forwarded-For` says where a request comes from."),
    )
    directory_locks_after = Integer(
        0, config=True, help=N_("After how many wrong passwords the directory locks an account; we stay below. 0: it does not.")
    )
    directory_locks_within_s = Float(300.0, config=True, help=N_("Seconds after which the directory forgets wrong passwords."))
    login_pace_s = Float(
        0.5,
        config=True,
        help=N_("Refusals are answered at multiples of this many seconds, so that the time taken says nothing; 0: at once."),
    )
    otp_backend = Unicode(
        "local",
        config=True,
        help=N_(
            "Who knows the one-time passwords: `local` (our own database), `ldap-append` (the directory, behind the password), `radius`, "
            "`privacyidea` or `pam`; see docs/howto-otp.md."
        ),
    )
    otp_servers = List(Unicode(), config=True, help=N_("In order: host or host:port with `radius`, https://… with `privacyidea`."))
    otp_secret_file = Unicode(
        "", config=True, help=N_("File (mode 0600) with the secret shared with the RADIUS servers, or privacyIDEA's API key.")
    )
    otp_sends = Unicode(
        "code",
        config=True,
        help=N_(
            "What `radius`, `privacyidea` and `pam` are sent: `code`; `password+code` in one field; or `password`, and the code when the "
            "server asks for it."
        ),
    )
    otp_name = Unicode("{name}", config=True, help=N_("A person's name as the server of the one-time passwords knows it."))
    otp_timeout_s = Float(4.0, config=True, help=N_("Seconds to wait for one answer of that server."))
    otp_nas_identifier = Unicode("jupyterhub", config=True, help=N_("Who asks, for the RADIUS servers' rules and logs."))
    otp_realm = Unicode("", config=True, help=N_("privacyIDEA's realm; empty: its default."))
    otp_ca_file = Unicode("", config=True, help=N_("CA certificates that sign the privacyIDEA servers'; default: the system's."))
    otp_pam_service = Unicode("jupyterhub-backendai", config=True, help=N_("PAM's service, a file in /etc/pam.d."))
    admin_users = List(Unicode(), config=True, help=N_("Names of the platform's administrators."))
    emergency_admin_file = Unicode(
        "",
        config=True,
        help=N_(
            "File (mode 0600) with one line `name:hash` of an administrator who may log in while the service does not answer; "
            "the hash is argon2's or scrypt's. Empty: nobody may."
        ),
    )
    admin_groups = List(Unicode(), config=True, help=N_("Directory groups whose members are administrators."))
    allowed_groups = List(Unicode(), config=True, help=N_("Directory groups that may log in; empty: everybody with a password."))
    project_groups = Dict(
        config=True, help=N_("Directory group → project name. Members join the project; who has none joins `default_project`.")
    )
    default_project = Unicode("default", config=True, help=N_("Project of people whom no rule gives one."))
    default_domain = Unicode("default", config=True, help=N_("Domain of people whom no rule gives one."))
    mapping_rules = List(
        Dict(),
        config=True,
        help=N_(
            "Ordered rules from the directory's groups and attributes to domain, projects, role, keypair policy, resource groups and "
            "Unix account; see docs/howto-mapping.md."
        ),
    )
    ldap_servers = List(Unicode(), config=True, help=N_("Servers in order: ldap://host:port or ldaps://host:port."))
    ldap_tls = Unicode("starttls", config=True, help=N_("For ldap://: `starttls`, or `none` to send passwords in clear (do not)."))
    ldap_ca_file = Unicode(
        "", config=True, help=N_("CA certificates (a file or a directory) that sign the servers'; default: the system's.")
    )
    ldap_verify = Bool(True, config=True, help=N_("Check the servers' certificates and names."))
    ldap_tls_name = Unicode("", config=True, help=N_("Name in the servers' certificates, where it is not the one in `ldap_servers`."))
    ldap_tls_minimum = Unicode("1.2", config=True, help=N_("Oldest version of TLS: 1.0, 1.1, 1.2 or 1.3."))
    ldap_ciphers = Unicode("", config=True, help=N_("OpenSSL's list of ciphers; default: Python's."))
    ldap_client_cert_file = Unicode("", config=True, help=N_("Our own certificate, for servers that ask for one."))
    ldap_client_key_file = Unicode("", config=True, help=N_("Its key, where it is not in the same file."))
    ldap_bind_dn = Unicode("", config=True, help=N_("Service account that looks people up; empty: anonymous."))
    ldap_bind_password_file = Unicode("", config=True, help=N_("File with the service account's password."))
    ldap_bind_password_env = Unicode("", config=True, help=N_("Environment variable with it instead."))
    ldap_bind_external = Bool(False, config=True, help=N_("The service account is who our certificate names (SASL EXTERNAL)."))
    ldap_bind_templates = List(
        Unicode(),
        config=True,
        help=N_("Bind as these, tried in order, without looking for the person first: uid={name},ou=people,dc=example."),
    )
    ldap_bind_attribute = Unicode(
        "", config=True, help=N_("Bind as this attribute's value (in the templates, if any) and not as the entry's DN.")
    )
    ldap_user_base = Unicode("", config=True, help=N_("Where people are, such as ou=people,dc=example."))
    ldap_user_filter = Unicode("(uid={name})", config=True, help=N_("Filter that finds one person; {name} is escaped."))
    ldap_name_attribute = Unicode("uid", config=True, help=N_("Attribute that is the person's name here."))
    ldap_name_pattern = Unicode(
        "", config=True, help=N_("Regular expression that a whole name must match, in small letters; empty: any name.")
    )
    ldap_attributes = List(Unicode(), config=True, help=N_("More attributes to read, for the rules of mapping."))
    ldap_group_base = Unicode("", config=True, help=N_("Where groups are; empty: no groups are looked for."))
    ldap_group_filter = Unicode(
        "(|(&(|(objectClass=groupOfNames)(objectClass=groupOfMembers)(objectClass=group))(member={dn}))"
        "(&(objectClass=groupOfUniqueNames)(uniqueMember={dn}))(&(objectClass=posixGroup)(|(memberUid={name})(gidNumber={gid}))))",
        config=True,
        help=N_("Filter that finds a person's groups; {gid} is the primary group, {primary_sid} Active Directory's."),
    )
    ldap_group_name_attribute = Unicode("cn", config=True, help=N_("Attribute that is a group's short name."))
    ldap_member_of_attribute = Unicode("", config=True, help=N_("Attribute of people with their groups' DNs, such as memberOf."))
    ldap_nested_groups = Unicode("no", config=True, help=N_("Groups in groups: `no`, `follow`, or `in-chain` (Active Directory does it)."))
    ldap_password_change = Unicode(
        "exop", config=True, help=N_("How passwords are changed: `exop` (Password Modify), `ad` (Active Directory) or `off`.")
    )
    ldap_password_dn = Unicode("", config=True, help=N_("Account that may set a password that has expired and lets nobody in any more."))
    ldap_password_file = Unicode("", config=True, help=N_("File with that account's password."))
    ldap_connect_timeout_s = Float(4.0, config=True, help=N_("Seconds to wait for a connection."))
    ldap_receive_timeout_s = Float(5.0, config=True, help=N_("Seconds to wait for an answer."))
    keypairs_per_user = Integer(5, config=True, help=N_("How many API keypairs a person may have; 0: only administrators make them."))
    local_posix = Bool(True, config=True, help=N_("Give people without a Unix account in the directory the system's account of that name."))

    # -- mail
    mail_server = Unicode("", config=True, help=N_("Mail server as host:port; empty: this site sends no mail."))
    mail_tls = Unicode("starttls", config=True, help=N_("`starttls`, `ssl` (from the first byte on) or `none` (only on this machine)."))
    mail_ca_file = Unicode("", config=True, help=N_("CA certificates that sign the mail server's; default: the system's."))
    mail_verify = Bool(True, config=True, help=N_("Check the mail server's certificate and name."))
    mail_user = Unicode("", config=True, help=N_("Account at the mail server; empty: none is needed."))
    mail_password_file = Unicode("", config=True, help=N_("File with that account's password."))
    mail_from = Unicode("", config=True, help=N_("Address that mail comes from, such as hub@example.org."))
    ready_mail_after_s = Float(
        60.0,
        config=True,
        help=N_("Seconds that a session must have waited before its owner, who asked for it, gets a mail that it is ready, or failed."),
    )
    mail_timeout_s = Float(15.0, config=True, help=N_("Seconds to wait for the mail server."))
    public_hub_url = Unicode(
        config=True,
        help=N_(
            "Address of the hub as browsers reach it, for links in mail: https://hub.example.org/hub/. Default: what "
            "`c.JupyterHub.public_url` makes the hub tell us. Never taken from a request."
        ),
    )

    # -- accounts that people make themselves, and the way back into one (embedded directory only); each is off until a site turns it on
    sign_up = Bool(False, config=True, help=N_("People may make themselves an account; only with `directory = 'local'`."))
    sign_up_invitation_required = Bool(
        False, config=True, help=N_("Only with the word of an invitation (Administration → Sign-up invitations).")
    )
    sign_up_approval_required = Bool(False, config=True, help=N_("Only after an administrator made the new user active."))
    sign_up_verification_required = Bool(
        False, config=True, help=N_("Only after a link that was mailed to the address; needs mail_server.")
    )
    sign_up_terms = Dict(config=True, help=N_("Language → terms of use that one has to agree to; empty: there are none."))
    sign_up_privacy_policy = Dict(config=True, help=N_("Language → privacy policy that one has to agree to; empty: there is none."))
    sign_up_groups = List(Unicode(), config=True, help=N_("Groups of the embedded directory that new accounts are in."))
    sign_up_notify = List(Unicode(), config=True, help=N_("Mail addresses that are told when somebody waits for approval."))
    forgotten_password = Bool(False, config=True, help=N_("Who forgot the password gets a link by mail; needs mail_server."))
    password_lock_after = Integer(
        10, config=True, help=N_("More wrong passwords in a row than these, and a network is not listened to for that name; 0: never.")
    )
    password_lock_s = Float(
        1200.0, config=True, help=N_("For how long. Other networks are listened to, so nobody locks somebody else out.")
    )

    # -- what can be launched
    queues = List(Dict(), config=True, help=N_("The queues, in the order of the table; see docs/queues.md."))
    environments = List(
        Dict(),
        config=True,
        help=N_("name, labels {en, ko}, command (argument list that runs a Python interpreter with jupyterhub and jupyterlab)."),
    )
    user_root = Unicode("/scratch/{user}", config=True, help=N_("Directory of a user's logs and work; {user} is the Unix name."))
    log_dir = Unicode("log", config=True, help=N_("Job logs, beneath user_root: <log_dir>/<job id>.log."))
    workspace_dir = Unicode("workspace", config=True, help=N_("Working directory of sessions, beneath user_root."))

    docker_url = Unicode(
        "unix:///var/run/docker.sock", config=True, help=N_("Where the Docker engine of queues with `engine` docker listens.")
    )

    # -- virtual folders
    storage_hosts = List(
        Dict(),
        config=True,
        help=N_(
            "Where folders are, in order: name (such as local:folders), path (the same on this machine and on all nodes), description, "
            "quota_driver (`auto`, `accounting`, `xfs`, `ext4`, `btrfs`, `lustre` or `cephfs`), is_granted (False: nobody may use it until "
            "an administrator says who). Default: `local:folders` in state_dir/folders."
        ),
    )

    measure_folders_every_s = Integer(
        86400,
        config=True,
        help=N_("Seconds after which a folder is measured anew: how much it holds, and where no kernel counts, its quota's use."),
    )
    measure_used_folders_every_s = Integer(900, config=True, help=N_("The same for folders that a running session may write to."))

    # -- the ends of sessions
    warn_before_s = Integer(
        900, config=True, help=N_("Seconds before a session is ended for its time, its idleness or its age at which pages begin to warn.")
    )
    warn_by_mail = Bool(False, config=True, help=N_("Warn its owner by mail, too; needs mail_server."))
    stop_on_logout = Bool(
        False, config=True, help=N_("Logging out ends the person's running notebooks; `c.JupyterHub.shutdown_on_logout` does the same.")
    )

    # -- bills: only sessions in queues that have prices and are not free
    currency = Unicode("KRW", config=True, help=N_("What money is counted in, as pages show it: KRW, EUR, credits …"))
    currency_digits = Integer(
        0,
        config=True,
        help=N_("Digits after the point of the smallest amount that is charged, 0 to 6. Sessions are rounded once, half up."),
    )
    bill_to = Unicode("user", config=True, help=N_("Who pays for a session: the `user`, the `project` or the `domain`."))
    bill_limit = Unicode(
        "none",
        config=True,
        help=N_(
            "`none`: balances may go below zero, somebody sends invoices. `hold`: a session starts only if the credit covers the most "
            "it can cost. `zero`: it starts while there is credit, and is ended when the credit is used up."
        ),
    )
    credit_warnings_s = List(
        Integer(),
        [3600, 600],
        config=True,
        help=N_("Seconds before the credit is used up at which people with running sessions are warned."),
    )
    bill_interval_s = Float(60.0, config=True, help=N_("How often sessions that ended are charged, and credit is looked at."))
    bill_wait_s = Float(
        86400.0, config=True, help=N_("How long to wait for an accounting that does not answer, before our own records are charged.")
    )

    # -- what the platform itself fetches
    fetch_allowed_networks = List(
        Unicode(),
        config=True,
        help=N_("Networks of the site that registries may be in, such as 10.20.0.0/16; else only public addresses are connected to."),
    )
    fetch_denied_networks = List(
        Unicode(), config=True, help=N_("Networks that are never connected to, such as the cluster's own public addresses.")
    )

    @default("secrets_file")
    def _secrets_file(self) -> str:
        return str(Path(self.state_dir, "secrets.json"))

    @default("database_url")
    def _database_url(self) -> str:
        return f"sqlite:///{Path(self.state_dir, 'backendai.sqlite')}"

    @default("public_hub_url")
    def _public_hub_url(self) -> str:
        return os.environ.get("JUPYTERHUB_PUBLIC_HUB_URL", "")

    @default("private_url")
    def _private_url(self) -> str:
        return f"unix://{Path(self.state_dir, 'private.sock')}"

    @property
    def job_name(self) -> str:
        """The name that all jobs of this hub share."""
        return f"backendai-{self.hub_id}"

    def make_billing(self) -> Billing:
        """How sessions are billed here. Raises InvalidParameters for words that there are not."""
        try:
            return Billing(Currency(self.currency, self.currency_digits), self.bill_to, self.bill_limit, tuple(self.credit_warnings_s))
        except ValueError as exc:
            raise InvalidParameters("c.BackendAI.bill_to, bill_limit, currency_digits: %(reason)s", reason=str(exc)) from exc

    def address_rules(self) -> AddressRules:
        """Where the platform may connect to. Raises InvalidParameters for a network that is none."""
        try:
            return AddressRules(parse_networks(self.fetch_allowed_networks), parse_networks(self.fetch_denied_networks))
        except ValueError as exc:
            raise InvalidParameters("c.BackendAI.fetch_allowed_networks, fetch_denied_networks: %(reason)s", reason=str(exc)) from exc

    def make_mapping(self) -> MappingRules:
        """Who is what here, by what the directory says. Raises InvalidParameters for a rule that cannot be read."""
        try:
            rules = parse_rules(self.mapping_rules)
        except ValueError as exc:
            raise InvalidParameters("c.BackendAI.mapping_rules: %(reason)s", reason=str(exc)) from exc
        return MappingRules(
            allowed_groups=tuple(self.allowed_groups),
            admin_groups=tuple(self.admin_groups),
            admin_users=tuple(fold_name(name) for name in self.admin_users),
            project_groups=dict(self.project_groups),
            default_project=self.default_project,
            default_domain=self.default_domain,
            rules=rules,
        )

    def list_queues(self) -> dict[str, Queue]:
        """The configured queues by name. Raises InvalidParameters for an entry that cannot be read."""
        queues = {}
        for entry in self.queues:
            try:
                fields = dict(entry)
                queue = queue_from_json(fields.pop("name"), fields.pop("engine"), fields)
                check_queue(queue)
                if wrong := check_prices(queue):
                    raise ValueError(f"{wrong[0].field}: {wrong[0].message}")
            except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as exc:
                raise InvalidParameters("c.BackendAI.queues: %(entry)s: %(reason)s", entry=str(entry), reason=str(exc)) from exc
            queues[queue.name] = queue
        return queues

    def list_storage_hosts(self) -> dict[str, ConfiguredHost]:
        """The configured storage hosts by name, in their order. Raises InvalidParameters for an entry that cannot be read."""
        entries = self.storage_hosts or [{"name": "local:folders", "path": str(Path(self.state_dir, "folders"))}]
        try:
            return read_hosts(entries)
        except ValueError as exc:
            raise InvalidParameters("c.BackendAI.storage_hosts: %(reason)s", reason=str(exc)) from exc

    def list_environments(self) -> dict[str, dict[str, Any]]:
        """The configured environments by name; without any, the hub's own Python is the one named ``default``.

        ``min_slots`` and ``max_slots`` are there only where the file says them. Raises InvalidParameters for an entry that cannot be read.
        """
        default_entry = {"name": "default", "labels": {"en": "Default", "ko": "기본"}}
        found = {}
        for entry in self.environments or [default_entry]:
            try:
                bounds = {key: ResourceSlots(entry[key]) for key in ("min_slots", "max_slots") if key in entry}
                if any(amount.is_nan() or amount < 0 for slots in bounds.values() for amount in slots.values()):
                    raise ValueError("an amount is negative")
                labels = dict(entry.get("labels") or {})
                found[entry["name"]] = {"command": [sys.executable], **entry, "labels": labels, **bounds}
            except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as exc:
                raise InvalidParameters("c.BackendAI.environments: %(entry)s: %(reason)s", entry=str(entry), reason=str(exc)) from exc
        return found

    def read_secret(self, name: str) -> str:
        """One secret of the secrets file. A missing one stops the start by name."""
        path = Path(self.secrets_file)
        try:
            if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise InvalidParameters("%(path)s can be read by others; chmod 600 it.", path=str(path))
            value = json.loads(path.read_text()).get(name)
        except OSError as exc:
            raise InvalidParameters("The secrets file %(path)s cannot be read: %(reason)s", path=str(path), reason=exc.strerror) from exc
        if not isinstance(value, str) or not value:
            raise InvalidParameters("The secret %(name)s is missing in %(path)s.", name=name, path=str(path))
        return value


def load_settings(path: str | Path) -> BackendAI:
    """The settings of a ``jupyterhub_config.py``, read as the hub reads it. Raises InvalidParameters when it cannot be read."""
    file = Path(path).absolute()
    try:
        config: Config = PyFileConfigLoader(file.name, path=str(file.parent)).load_config()
    except ConfigFileNotFound as exc:
        raise InvalidParameters("There is no configuration file %(path)s.", path=str(file)) from exc
    except (Exception, SystemExit) as exc:
        # The file is a program of the site's: whatever it raises is a mistake in it, and the person at the terminal must see which.
        raise InvalidParameters("%(path)s: %(kind)s: %(reason)s", path=str(file), kind=type(exc).__name__, reason=str(exc)) from exc
    try:
        return BackendAI(config=config)
    except TraitError as exc:
        raise InvalidParameters("%(path)s: %(reason)s", path=str(file), reason=str(exc)) from exc
