"""The store, which saves each result under the hash of the settings that determine it.

The command `python -m bench.store` inspects and cleans a store.
"""

from bench.store.arrays import SUMS, Arrays, Check, Store, content_key, file_sha256, joined, put_folder, writing
from bench.store.json_cache import Fact
from bench.store.layout import check_store, mark_store
from bench.store.leases import lease
from bench.store.putting_aside import made_folder, put_aside

__all__ = [
    "SUMS",
    "Arrays",
    "Check",
    "Fact",
    "Store",
    "check_store",
    "content_key",
    "file_sha256",
    "joined",
    "lease",
    "made_folder",
    "mark_store",
    "put_aside",
    "put_folder",
    "writing",
]
