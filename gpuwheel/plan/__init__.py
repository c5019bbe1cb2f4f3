"""Which wheels to build: what the project asks for against what the world allows. Pure."""

from __future__ import annotations

from gpuwheel.plan.accepted import resolve_job
from gpuwheel.plan.cells import plan
from gpuwheel.plan.explain import Here, choose, explain, rejection, select
from gpuwheel.plan.labels import local_labels
from gpuwheel.plan.nvcc_cells import linked_requirements

__all__ = [
    "Here",
    "choose",
    "explain",
    "linked_requirements",
    "local_labels",
    "plan",
    "rejection",
    "resolve_job",
    "select",
]
