"""Which compilers of all cells run when: no more than there are cores and memory for, and no fewer."""

from gpuwheel.matrix.broker.events import SourceEvent
from gpuwheel.matrix.broker.server import Broker

__all__ = ["Broker", "SourceEvent"]
