"""Every error a user can meet, in one tree.

AudiomaeError               one clear line: value, limit, way out; the command line exits with 1
├── DecodeError             a song's audio cannot be read
├── DataError               a table, list or folder holds something wrong
│   ├── MissingError        a file or folder that must be there is not, or is cut short
│   └── FingerprintError    a folder was made from something else than what it is used with
│       └── OtherRunError   a run folder was begun with other settings or another corpus
├── ConfigError             values that do not fit together (exit 2)
├── StorageError            the disk refuses a write: full, read-only, no permission
├── DivergedError           training met a loss that is not a number
└── PeerError               another process of the same training is gone
"""

from __future__ import annotations

__all__ = [
    "AudiomaeError",
    "ConfigError",
    "DataError",
    "DecodeError",
    "DivergedError",
    "FingerprintError",
    "MissingError",
    "OtherRunError",
    "PeerError",
    "StorageError",
    "reason_of",
]


def reason_of(error: BaseException) -> str:
    """Return what a library's error says on one short line, or its kind where it says nothing.

    Example:
        >>> reason_of(ValueError("bad magic\\nat byte 4")), reason_of(MemoryError())
        ('bad magic', 'MemoryError')
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


class AudiomaeError(Exception):
    """Base of all errors with a message meant for the user."""

    exit_code = 1
    told = False
    """Whether another process of the same command says it."""


class DecodeError(AudiomaeError):
    """A song's audio cannot be read."""


class DataError(AudiomaeError):
    """A table, list or folder holds something wrong."""


class MissingError(DataError):
    """A file or folder that must be there is not, or is cut short."""


class FingerprintError(DataError):
    """A folder was made from something else than what it is used with."""


class OtherRunError(FingerprintError):
    """A run folder was begun with other settings or made from something else."""


class ConfigError(AudiomaeError):
    """Values that do not fit together."""

    exit_code = 2


class StorageError(AudiomaeError):
    """The disk refuses a write."""


class DivergedError(AudiomaeError):
    """Training met a loss that is not a number."""


class PeerError(AudiomaeError):
    """Another process of the same training is gone."""
