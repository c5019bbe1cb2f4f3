"""What compilers, linkers and CMake say, for a person: their own line, the first error, and what to do."""

from __future__ import annotations

from gpuwheel.compile.messages.causes import Cause, read_causes
from gpuwheel.compile.messages.ending import Place, build_failure
from gpuwheel.compile.messages.reading import Message, read_messages
from gpuwheel.compile.messages.tee import teed

__all__ = ["Cause", "Message", "Place", "build_failure", "read_causes", "read_messages", "teed"]
