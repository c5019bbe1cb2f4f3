"""The environment variables that change what compilers, linkers and CMake do, and the environment that these get.

One table, `data/environment.toml`, says of each variable what becomes of it. Whoever starts a tool of a build gives it
the environment made here, and whoever keeps a result puts `reaching()` into its key.
"""

from gpuwheel._environment.anchored import anchored
from gpuwheel._environment.strangers import of_strangers, without_secrets
from gpuwheel._environment.table import Does, Variable, launchers, load_variables
from gpuwheel._environment.tools import (
    ToolEnvironment,
    device_environment,
    reaching,
    tool_environment,
    tool_variables,
    uncovered,
)
from gpuwheel._environment.travelling import arrived, staying, travelling

__all__ = [
    "Does",
    "ToolEnvironment",
    "Variable",
    "anchored",
    "arrived",
    "device_environment",
    "launchers",
    "load_variables",
    "of_strangers",
    "reaching",
    "staying",
    "tool_environment",
    "tool_variables",
    "travelling",
    "uncovered",
    "without_secrets",
]
