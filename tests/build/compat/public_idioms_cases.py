"""What public_idioms.cpp gives, as JSON."""

import cmath
import json
import os
import re
import sys
import tempfile

sys.path.insert(0, sys.argv[1])
import public_idioms as m
import torch


def failure(*arguments):
    try:
        m.checks(*arguments)
    except RuntimeError as error:
        return str(error).splitlines()[0]


t, found = torch.zeros, {}
found["right"] = m.checks(t(3, 2), 3)
found["wrong dim"] = failure(t(3), 3)
found["wrong size"] = failure(t(3, 2), 2)
found["not contiguous"] = failure(t(2, 3).t(), 3)
found["one"] = failure(t(1, 2), 1)
found["assert"] = "INTERNAL ASSERT FAILED" in failure(t(5, 2), 5) and "n is 5" in failure(t(5, 2), 5)

parts = [torch.arange(6.0).reshape(2, 3).t(), torch.empty(0, 4), torch.tensor(7.0)]
flat = m.flatten(parts)
found["flat"] = flat.tolist() == [0, 3, 1, 4, 2, 5, 7]
back = m.unflatten(flat, parts)
found["unflat"] = torch.equal(back[0], parts[0]) and back[2].item() == 7 and back[0].data_ptr() == flat.data_ptr()
found["empty has its own storage"] = back[1].shape == (0,) and back[1].storage_offset() == 0

x = torch.arange(24.0, dtype=torch.double).reshape(2, 3, 4)
views = [x, x.transpose(0, 2), x[:, 1:, ::2], x[:, :1], x[0, 0], x.expand(2, 2, 3, 4)]
right = [
    m.gather(v, c, e)[:-1] == v.reshape(-1).tolist() for v in views for c, e in ((False, -1), (True, -1), (True, 0))
]
found["gather"] = all(right) and m.gather_contiguous(x, False, -1)[:-1] == x.reshape(-1).tolist()
found["collapsed"] = [
    int(m.gather(*each)[-1]) for each in ((x, True), (x, True, 1 - 1), (x[:, :1], True), (x[:1, :1, :1], True))
]
found["narrow"] = [m.narrow(x, 25), m.narrow(x, 24), m.narrow(x[:, :, :0], 1), m.narrow(x.transpose(0, 2)[:1, :1], 12)]
found["overlaps"] = [
    m.overlaps(x.transpose(0, 1)),
    m.overlaps(x.expand(2, 2, 3, 4)),
    m.overlaps(x.as_strided((2, 3), (1, 1))),
]
found["blocks"] = [m.blocks(1), m.blocks(1024), m.blocks(1025)]
z = complex(3, -4)
e = cmath.exp(z)
right = [3, -4, 3, 4, 25, 5, cmath.phase(z), e.real, e.imag]
found["complex"] = torch.allclose(torch.tensor(m.parts(3, -4)), torch.tensor(right))
x = torch.ones(2)
found["const optionals"] = [
    [f(x).tolist(), f(x, x).tolist(), f(x, x, 3.0).tolist(), str(f(x, None, None, torch.half).dtype), f(None)]
    for f in (m.sum_of, torch.ops.public_idioms.sum_of)
]
leaf = torch.ones(2, requires_grad=True)
found["requires grad"] = [m.any_requires_grad(each) for each in ([], [x], [x, leaf], [leaf * 2])]
with tempfile.TemporaryFile() as file:
    before = os.dup(2)
    os.dup2(file.fileno(), 2)
    m.logs(1)
    m.logs(0)
    m.logs(3)
    raised = ""
    try:
        m.equal(1, 1)
        m.equal(1, 2)
    except RuntimeError as error:
        raised = str(error)
    os.dup2(before, 2)
    file.seek(0)
    logged = file.read().decode().splitlines()
line = r"\[[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{9} public_idioms\.cpp:\d+\] "
found["logged"] = [each[0:2] + re.sub(line, "", each) for each in logged]
found["not equal"] = re.sub(line, "", raised)
print(json.dumps(found))
