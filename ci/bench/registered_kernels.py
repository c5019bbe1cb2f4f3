"""Load the built package beside torch and count the kernels that it registers; each operator must have CPU and CUDA."""

import importlib.util

import torch  # noqa: TID251 (asks torch what was registered)

spec = importlib.util.find_spec("gpuwheel_sample._C")
assert spec is not None  # noqa: S101
assert spec.origin is not None  # noqa: S101
torch.ops.load_library(spec.origin)
names = sorted({schema.name for schema in torch._C._jit_get_all_schemas() if schema.name.startswith("gpuwheel_sample::")})  # noqa: SLF001
count = 0
for name in names:
    for key in ("CPU", "CUDA"):
        if not torch._C._dispatch_has_kernel_for_dispatch_key(name, key):  # noqa: SLF001
            message = f"{name} has no kernel for {key}"
            raise SystemExit(message)
        count += 1
print(count)
