"""The cache on disk, shared by processes, safe to delete: what is published in it, and folders to work in."""

from gpuwheel._cache.entries import Cache, Entry, Kind
from gpuwheel._cache.refusals import check_programs, refusal
from gpuwheel._cache.seals import SEAL, content_problem, index_problem, sealed_digests
from gpuwheel._cache.tiers import Tier

__all__ = [
    "SEAL",
    "Cache",
    "Entry",
    "Kind",
    "Tier",
    "check_programs",
    "content_problem",
    "index_problem",
    "refusal",
    "sealed_digests",
]
