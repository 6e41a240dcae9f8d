"""Every named defect, by promise."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from contract.reference.behaviour import Defect
from contract.reference.defects import answers, refusals, values, writes

__all__ = ["DEFECTS"]

ALL = (*answers.DEFECTS, *values.DEFECTS, *writes.DEFECTS, *refusals.DEFECTS)
DEFECTS: Mapping[str, Defect] = MappingProxyType({defect.name: defect for defect in ALL})
"""Name -> defect, by the promises that they break."""
