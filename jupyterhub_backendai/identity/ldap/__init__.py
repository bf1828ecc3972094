"""People in an LDAP directory."""

from .directory import LdapDirectory

__all__ = ["LdapDirectory"]
