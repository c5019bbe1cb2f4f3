"""The verbs and their order. Each stage is called from here and nowhere else; no rule of any stage lives here.

`build` has what the hooks do, whatever the mode; a module per mode has the order of the stages that compile in it.
"""

from gpuwheel.pipeline.build import Build

__all__ = ["Build"]
