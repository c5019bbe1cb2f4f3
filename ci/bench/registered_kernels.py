"""Load a built library beside torch and count the kernels that it registers; each operator must have CPU and CUDA.

python registered_kernels.py LIBRARY
"""

import sys

import torch  # type: ignore[import-not-found,unused-ignore]  # noqa: TID251 (asks torch what was registered)

torch.ops.load_library(sys.argv[1])
schemas = torch._C._jit_get_all_schemas()  # noqa: SLF001 (no public list)
names = sorted({schema.name for schema in schemas if schema.name.startswith("gpuwheel_sample::")})
keys = ("CPU", "CUDA")
for name in names:
    for key in keys:
        if not torch._C._dispatch_has_kernel_for_dispatch_key(name, key):  # noqa: SLF001
            message = f"{name} has no kernel for {key}"
            raise SystemExit(message)
print(len(names) * len(keys))
