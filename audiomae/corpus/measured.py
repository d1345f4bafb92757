"""What a song sounds like beside its log-mels: names and columns, without what measures them (that brings torch)."""

from __future__ import annotations

import pyarrow as pa

__all__ = ["FACTORS", "MEASURED", "MEASURED_FIELDS"]

FACTORS = ("timbre", "rhythm", "harmony")
"""Names of the factors of `audiomae/audio/factors.py`, each a vector of a song."""
MEASURED_FIELDS = (
    pa.field("tempo", pa.float32()),
    pa.field("key", pa.string()),
    *(pa.field(name, pa.list_(pa.float32())) for name in FACTORS),
)
"""Columns of tables of tracks: `tempo` in beats a minute (0 unknown), `key` such as "C" or "Am", and the factors; null
where nobody measured them."""
MEASURED = tuple(field.name for field in MEASURED_FIELDS)
"""Their names."""
