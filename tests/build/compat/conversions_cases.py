"""Let conversions fail argv[2] times: prints by how many bytes what is allocated grew, and how many calls raised.

Operators are called as the module in front of them calls them, with what C++ refuses: Python would refuse most of it
before. What is allocated is counted by the allocator itself, to the byte: glibc's, or that of AddressSanitizer.
"""

import ctypes
import gc
import json
import sys

import torch

from gpuwheel.launcher.compat_values import pack

sys.path.insert(0, sys.argv[1])
import conversions as m

LIBRARY = ctypes.CDLL(f"{sys.argv[1]}/libconversions.so")
LIBRARY.gpuwheel_compat_open.restype = ctypes.c_char_p
DESCRIBED = json.loads(LIBRARY.gpuwheel_compat_open(1))
OPERATORS = {
    each["name"]: torch._C._get_operation_overload(f"{DESCRIBED['namespace']}::{each['operator']}", each["overload"])[0]
    for each in DESCRIBED["functions"]
}
X, LIST, TEXT = (
    torch.ones(2),
    [torch.ones(2), torch.ones(1)],
    "a text that is longer than what lies in the string itself",
)
REFUSED = {
    "small": [(X, 300, X), (X, -129, X)],
    "natural": [(LIST, -1, TEXT)],
    "maybe_small": [(X, 70_000, [X, None]), (None, -70_000, LIST)],
    "small_list": [(TEXT, [1, 2, 256], TEXT), (TEXT, [-1, 2, 3], None)],
    "three": [(X, [1, 2], X), (X, [1, 2, 3, 4], X)],
    "three_texts": [([TEXT], [TEXT, TEXT], [TEXT])],
    "no_none": [(None, X, X), (X, None, X), (X, X, None)],
    "no_none_in_list": [(X, LIST, None)],
    "pairs": [(X, X, *pack([{TEXT: 300}])), (X, X, *pack([{"a": 1, "b": TEXT}])), (X, X, *pack([[X, X]]))],
    "tuple": [(X, *pack([(X, TEXT, 300)])), (X, *pack([(X, X, 1)])), (X, *pack([(X, TEXT)])), (X, "[[", LIST)],
    "either": [(X, *pack([(7, X), {1}])), (X, *pack([(1, TEXT), {1}])), (X, *pack([(2, LIST), {TEXT}]))],
    "dtype": [(LIST, X, *pack([TEXT])), (LIST, X, *pack([X]))],
} | {each: [(X,)] for each in OPERATORS if each.endswith(("text", "texts"))}
CALLS = [(OPERATORS[name], given) for name, all_given in REFUSED.items() for given in all_given]
CALLS += [(OPERATORS["throws"], (X, LIST, kind)) for kind in range(10)]
CALLS += [(m.throws, (X, LIST, kind)) for kind in range(10)]
CALLS += [(m.small, (1, 2, 3)), (m.pairs, (1, {"a": 1})), (m.three, ())]


class MallocInfo(ctypes.Structure):
    _fields_ = tuple((f"field{at}", ctypes.c_size_t) for at in range(10))  # 4: of large blocks; 7: of all others


def allocated():
    gc.collect()
    loaded = ctypes.CDLL(None)
    if hasattr(loaded, "__sanitizer_get_current_allocated_bytes"):
        loaded.__sanitizer_get_current_allocated_bytes.restype = ctypes.c_size_t
        return loaded.__sanitizer_get_current_allocated_bytes()
    loaded.mallinfo2.restype = MallocInfo
    found = loaded.mallinfo2()
    return found.field7 + found.field4


def rounds(count):
    raised = 0
    for i in range(count):
        function, given = CALLS[i % len(CALLS)]
        try:
            function(*given)
        except Exception:
            raised += 1
        else:
            print(function, given, "was taken", file=sys.stderr)
    return raised


rounds(20 * len(CALLS))
before = allocated()
raised = rounds(int(sys.argv[2]))
print(json.dumps({"raised": raised, "grown": allocated() - before, "kinds": len(CALLS)}))
