"""What the kernel says about a file, in words for its owner."""

from __future__ import annotations

import errno

from ..errors import (
    N_,
    BackendAIError,
    Conflict,
    Forbidden,
    InvalidParameters,
    NotFound,
    StorageFull,
    StorageUnavailable,
    TooManyRequests,
)

_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.EXDEV, errno.ELOOP, errno.ENXIO, errno.ENODEV}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_FULL = {errno.EDQUOT, errno.ENOSPC}
_SILENT = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENOTCONN, errno.ECONNREFUSED, errno.EREMOTEIO}
_BUSY = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}

UNREADABLE = N_("The request for files cannot be read.")
NOT_THERE = N_("There is no such file or directory.")


def translate(error: OSError, host: str) -> BackendAIError:
    """The error of ours for one of the kernel's."""
    number = error.errno
    if number in _NOT_THERE:
        return NotFound(NOT_THERE)
    if number in _NOT_ALLOWED:
        return Forbidden(N_("The file system does not let you do this; the permissions of the file or directory say so."))
    if number in _FULL:
        return StorageFull()
    if number in _SILENT:
        return StorageUnavailable(host=host)
    if number in _BUSY:
        return TooManyRequests()
    return _translate_conflict(number)


def _translate_conflict(number: int | None) -> BackendAIError:
    if number == errno.EEXIST:
        return Conflict(N_("Something of that name is there already."))
    if number == errno.ENOTEMPTY:
        return Conflict(N_("The directory is not empty."))
    if number in {errno.EISDIR, errno.EBUSY, errno.ETXTBSY, errno.EAGAIN}:
        return Conflict(N_("Something else is there, or it is in use right now."))
    if number == errno.ENAMETOOLONG:
        return InvalidParameters(N_("The name is too long for this file system."))
    if number in {errno.EINVAL, errno.EILSEQ}:
        return InvalidParameters(N_("The file system does not take that name, or a directory would go into itself."))
    if number == errno.EFBIG:
        return StorageFull(N_("The file is larger than this file system takes."))
    return BackendAIError()
