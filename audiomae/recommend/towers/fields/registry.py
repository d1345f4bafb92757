"""The types of user fields by name."""

from __future__ import annotations

from audiomae.recommend.towers.fields.bucketised import BUCKETISED
from audiomae.recommend.towers.fields.categorical import CATEGORICAL
from audiomae.recommend.towers.fields.column import FieldType
from audiomae.recommend.towers.fields.numeric import NUMERIC

__all__ = ["FIELD_TYPES"]

FIELD_TYPES: dict[str, FieldType] = {
    "categorical": CATEGORICAL,
    "numeric": NUMERIC,
    "bucketised": BUCKETISED,
}
"""What `--features.columns` takes, beside `ignore`."""
