"""Who holds a lock: what a lock file says, and the message for whoever finds it taken."""

import getpass
import os
import secrets
import socket
import time

from pydantic import BaseModel, ConfigDict, ValidationError

from raygan.sharding.errors import RunError, UserError
from raygan.sharding.storage.folder import Folder


def user_name() -> str:
    """The name of the user; the number where the system knows no name, as in a container with any uid."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


class Holder(BaseModel):
    """The process that holds a lock, and since when."""

    model_config = ConfigDict(frozen=True)

    id: str = "0"  # random, so that no two holders are taken for one
    user: str
    host: str
    process: int
    alive: float  # seconds since 1970

    @classmethod
    def ourselves(cls) -> "Holder":
        """This process, now, under a new id."""
        return cls(
            id=secrets.token_hex(8),
            user=user_name(),
            host=socket.gethostname(),
            process=os.getpid(),
            alive=time.time(),
        )

    def __str__(self) -> str:
        return f"process {self.process} of {self.user} on {self.host}"

    def to_bytes(self) -> bytes:
        """The content of a lock file."""
        return self.model_dump_json().encode()


def read_holder(folder: Folder, name: str) -> Holder | None:
    """The holder that a lock file names, or None if there is no such file. OSError; RunError for another file."""
    try:
        return Holder.model_validate_json(folder.read(name))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise RunError(f"{folder}/{name}: not a lock of raygan; remove it if no conversion runs there") from error


def taken(what: str, holder: Holder | None) -> UserError:
    """The error of whoever finds `what` locked."""
    return UserError(
        f"{what}: {holder or 'another process'} is converting into it; wait for it, or choose another folder"
    )
