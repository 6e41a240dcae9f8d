"""The reference server: the system that the document describes, as a real service.

It shares no code with what judges it. `DEFECTS` are named ways to be wrong, `VARIANTS` named ways to
behave that the documents allow.
"""

from contract.reference.app import create_app
from contract.reference.behaviour import Defect, Variant
from contract.reference.defects import DEFECTS
from contract.reference.serve import Direct, Running, running, serve
from contract.reference.variants import VARIANTS

__all__ = ["DEFECTS", "VARIANTS", "Defect", "Direct", "Running", "Variant", "create_app", "running", "serve"]
