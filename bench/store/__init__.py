"""The store: what stages made, under the hash of everything that made it. `python -m bench.store` looks after it."""

from bench.store.arrays import SUMS, Arrays, Store, content_key, file_sha256, joined, put_aside, put_folder, writing
from bench.store.leases import lease
from bench.store.measured import Fact

__all__ = [
    "SUMS",
    "Arrays",
    "Fact",
    "Store",
    "content_key",
    "file_sha256",
    "joined",
    "lease",
    "put_aside",
    "put_folder",
    "writing",
]
