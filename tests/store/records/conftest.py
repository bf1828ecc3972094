import pytest
from cryptography.fernet import Fernet

from jupyterhub_backendai.store.crypt import Crypt
from jupyterhub_backendai.store.safe import KEY, Safe


@pytest.fixture
def kept(database):
    """The database as the service opens it: secrets can be kept, and passwords (here hashed by one letter)."""
    database.info[KEY] = Safe(Crypt(Fernet.generate_key().decode()), lambda password: f"hash of {password}")
    return database
