"""Pseudonyms: a keyed hash of an identifier. Without the salt nobody can tell or test which patient it is."""

from __future__ import annotations

import hmac
import os
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem

SALT_BYTES = 32
_LENGTH = 16  # letters of four bits each, so that a million studies share none
# Consonants: a pseudonym is never a number that could be a record number, nor a word that could be a name.
_LETTERS = str.maketrans("0123456789abcdef", "bcdfghjklmnpqrst")


@dataclass(frozen=True)
class Pseudonyms:
    """Makes pseudonyms. The same salt gives the same ones in every build."""

    salt: bytes = field(repr=False)

    def of(self, kind: str, identifier: str) -> str:
        """Pseudonym of an identifier, such as ``case-bcdfghjklmnpqrst``."""
        digest = hmac.new(self.salt, f"{kind}\0{identifier}".encode(), sha256).hexdigest()
        return f"{kind}-{digest[:_LENGTH].translate(_LETTERS)}"


def read_salt(path: Path) -> bytes:
    """Read the salt, or make it: readable by its owner only, complete or not there, and the same for every process.

    Raises:
        ConfigError: If it cannot be made or read.
        DataError: If the file is no salt.
    """
    try:
        if not path.exists():
            _make(path)
        text = path.read_text("ascii").strip()
        salt = bytes.fromhex(text)
    except OSError as cause:
        fix = "Name another place in the config: salt_file."
        found = f"cannot be written or read ({cause.strerror})"
        raise ConfigError.of([Problem(f"salt file {path}", found, "a private file", fix)]) from None
    except ValueError:
        salt = b""
    if len(salt) != SALT_BYTES:
        fix = "Restore the file: with another salt every pseudonym changes. Or remove it to begin anew."
        raise DataError.of([Problem(f"salt file {path}", "no salt", f"{SALT_BYTES} bytes in hexadecimal", fix)])
    return salt


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{secrets.token_hex(SALT_BYTES)}\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # fails if another process was first: then its salt holds
        except FileExistsError:
            return
        except OSError:  # a file system without hard links
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
