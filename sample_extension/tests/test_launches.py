"""What each operator asks of the driver, on the pretend GPU (`pytest --fake-gpu`, with a CUDA build of torch)."""

import threading

import pytest
import torch

import gpuwheel_sample

pytest.importorskip("gpuwheel.testing", reason="the pretend GPU is part of gpuwheel")

OPS = torch.ops.gpuwheel_sample
HALF = "__half"


def on(device, *shapes, dtype=torch.float32):
    return tuple(torch.empty(shape, dtype=dtype, device=device) for shape in shapes)


def pointers(*tensors):
    return tuple(t.data_ptr() for t in tensors)


@pytest.fixture
def launch_of(fake_gpu):
    """Calls a function and gives its result and the launches of our kernels."""

    def call(function, *arguments):
        fake_gpu.clear()
        result = function(*arguments)
        return result, fake_gpu.launches("gpuwheel_sample")

    return call


def short(launch):
    return launch.name.rpartition("::")[2] if "<" not in launch.name else launch.name.partition("kernels::")[2]


def test_add_rms_norm(launch_of):
    x, residual, weight = on("cuda", (6, 4096), (6, 4096), (4096,))
    (y, total, scale), (launch,) = launch_of(OPS.add_rms_norm, x, residual, weight, 1e-6)
    assert short(launch) == "add_rms_norm<float, 4>"
    assert (launch.grid, launch.block, launch.shared_bytes) == ((6, 1, 1), (512, 1, 1), 0)
    assert launch.arguments("PPPPPPqif")[:8] == (*pointers(y, total, scale, x, residual, weight), 6, 4096)


def test_small_rows_share_a_block(launch_of):
    x, residual, weight = on("cuda", (100, 64), (100, 64), (64,), dtype=torch.float16)
    _, (launch,) = launch_of(OPS.add_rms_norm, x, residual, weight, 1e-6)
    assert short(launch) == f"add_rms_norm<{HALF}, 8>"
    assert (launch.grid, launch.block) == ((7, 1, 1), (8, 16, 1))


def test_rows_beyond_the_registers(launch_of):
    x, residual, weight = on("cuda", (2, 40000), (2, 40000), (40000,))
    _, (launch,) = launch_of(OPS.add_rms_norm, x, residual, weight, 1e-6)
    assert short(launch) == "add_rms_norm_long<float, 4>"
    assert launch.block == (1024, 1, 1)


def test_add_rms_norm_backward_sums_in_two_stages(launch_of):
    grad, total, weight, scale = on("cuda", (1000, 4096), (1000, 4096), (4096,), (1000,))
    (grad_x, grad_weight), (first, second) = launch_of(OPS.add_rms_norm_backward, grad, None, total, weight, scale)
    assert short(first) == "add_rms_norm_backward<float, 4>"
    _, partials, through, rows, size = (first.arguments("PPPPPPPqi")[i] for i in (0, 1, 3, 7, 8))
    assert (through, rows, size) == (0, 1000, 4096)
    assert first.arguments("PPPPPPPqi")[0] == grad_x.data_ptr()
    assert short(second) == "sum_partials<float>"
    assert (second.grid, second.block) == ((128, 1, 1), (32, 32, 1))
    assert second.arguments("PPqq") == (grad_weight.data_ptr(), partials, first.grid[0], 4096)


@pytest.mark.parametrize("name", ["bias_gelu", "bias_squared_relu"])
def test_bias(name, launch_of):
    x, bias = on("cuda", (8, 1000), (1000,), dtype=torch.bfloat16)
    y, (launch,) = launch_of(getattr(OPS, name), x, bias)
    assert short(launch) == f"{name}<__nv_bfloat16, 8>"
    assert (launch.grid, launch.block) == ((4, 1, 1), (256, 1, 1))
    assert launch.arguments("PPPqi") == (*pointers(y, x, bias), 8, 1000)
    (grad_x, grad_bias), (first, second) = launch_of(getattr(OPS, f"{name}_backward"), y, x, bias)
    assert short(first) == f"{name}_backward<__nv_bfloat16, 8>"
    assert (first.grid, first.block) == ((4, 2, 1), (32, 4, 1))
    assert first.arguments("PPPPPqi")[0] == grad_x.data_ptr()
    assert second.arguments("PPqq")[0] == grad_bias.data_ptr()
    assert second.arguments("PPqq")[1:3] == (first.arguments("PPPPPqi")[1], 2)


@pytest.mark.parametrize("name", ["swiglu", "squared_relu"])
def test_elementwise(name, launch_of):
    inputs = on("cuda", *[(3, 1000)] * (2 if name == "swiglu" else 1), dtype=torch.float16)
    y, (launch,) = launch_of(getattr(OPS, name), *inputs)
    assert short(launch) == f"{name}<{HALF}, 8>"
    assert (launch.grid, launch.block) == ((2, 1, 1), (256, 1, 1))
    assert launch.arguments("P" * (1 + len(inputs)) + "q") == (*pointers(y, *inputs), 3000)
    results, (launch,) = launch_of(getattr(OPS, f"{name}_backward"), y, *inputs)
    results = results if isinstance(results, tuple) else (results,)
    assert short(launch) == f"{name}_backward<{HALF}, 8>"
    assert launch.arguments("P" * (len(results) + 1 + len(inputs)) + "q") == (*pointers(*results, y, *inputs), 3000)


@pytest.mark.parametrize(
    ("with_gradient", "threads", "shared"), [(False, 512, 0), (True, 512, 64000)], ids=["loss", "loss and gradient"]
)
def test_cross_entropy(with_gradient, threads, shared, launch_of):
    (logits,) = on("cuda", (7, 32000), dtype=torch.bfloat16)
    target = torch.empty(7, dtype=torch.int64, device="cuda")
    (loss, gradient, valid), (rows, total) = launch_of(OPS.cross_entropy, logits, target, -100, "mean", with_gradient)
    assert short(rows) == "cross_entropy<__nv_bfloat16, 8>"
    assert (rows.grid, rows.block, rows.shared_bytes) == ((7, 1, 1), (threads, 1, 1), shared)
    losses, *others = rows.arguments("PPPPqiqi")
    assert others == [
        gradient.data_ptr() if with_gradient else 0,
        *pointers(logits, target),
        7,
        32000,
        -100,
        shared // 16,
    ]
    assert (total.grid, total.block) == ((1, 1, 1), (1024, 1, 1))
    assert total.arguments("PPPPqq") == (*pointers(loss, valid), losses, target.data_ptr(), 7, -100)


def test_cross_entropy_backward(launch_of):
    (gradient,), (scale, valid) = on("cuda", (7, 32000)), on("cuda", (), ())
    out, (launch,) = launch_of(OPS.cross_entropy_backward, scale, gradient, valid)
    assert short(launch) == "cross_entropy_backward<float, 4>"
    assert launch.arguments("PPPPq") == (*pointers(out, gradient, scale, valid), 7 * 32000)
    scales, nothing = on("cuda", (7,), (0,))
    out, (launch,) = launch_of(OPS.cross_entropy_backward, scales, gradient, nothing)
    assert short(launch) == "cross_entropy_backward_rows<float, 4>"
    assert launch.arguments("PPPqi") == (*pointers(out, gradient, scales), 7, 32000)


@pytest.mark.parametrize(("suffix", "direction"), [("", 1.0), ("_backward", -1.0)])
def test_rotary_embedding(suffix, direction, launch_of):
    x, cos, sin = on("cuda", (2, 10, 4, 64), (10, 32), (10, 32))
    y, (launch,) = launch_of(getattr(OPS, f"rotary_embedding{suffix}"), x, cos, sin)
    assert short(launch) == "rotary_embedding<float, 4>"
    assert (launch.grid, launch.block) == ((3, 1, 1), (32, 8, 1))
    assert launch.arguments("PPPPqqiif") == (*pointers(y, x, cos, sin), 20, 10, 4, 32, direction)


CALLS = {
    "add_rms_norm": lambda x, v: OPS.add_rms_norm(x, x, v, 1e-6),
    "bias_gelu": OPS.bias_gelu,
    "bias_squared_relu": OPS.bias_squared_relu,
    "squared_relu": lambda x, v: OPS.squared_relu(x),  # noqa: ARG005
    "swiglu": lambda x, v: OPS.swiglu(x, x),  # noqa: ARG005
    "rotary_embedding": lambda x, v: OPS.rotary_embedding(x.view(2, 2, 1, 64), *[v.view(2, 32)] * 2),
}


@pytest.mark.parametrize("name", CALLS)
def test_data_that_is_not_aligned_takes_the_kernel_of_single_loads(name, launch_of):
    room, (vector,) = torch.empty(4 * 64 + 1, device="cuda"), on("cuda", (64,))
    for x, width in ((room[:-1].view(4, 64), "4"), (room[1:].view(4, 64), "1")):
        _, launches = launch_of(CALLS[name], x, vector)
        assert launches[0].name.endswith(f", {width}>")


def test_cross_entropy_finds_the_vectors_of_rows_that_are_not_aligned(launch_of):
    room, target = torch.empty(4 * 63 + 1, device="cuda"), torch.empty(4, dtype=torch.int64, device="cuda")
    for x, with_gradient, width in ((room[:-1], True, "4"), (room[1:], False, "4"), (room[1:], True, "1")):
        _, launches = launch_of(OPS.cross_entropy, x.view(4, 63), target, -100, "sum", with_gradient)
        assert launches[0].name.endswith(f", {width}>")


@pytest.mark.parametrize("name", CALLS)
def test_stream_and_device_of_the_tensor(name, launch_of):
    x, vector = on("cuda:1", (4, 64), (64,))
    stream = torch.cuda.Stream(device=1)
    torch.cuda.set_device(0)
    with torch.cuda.stream(stream):
        torch.cuda.set_device(0)
        _, launches = launch_of(CALLS[name], x, vector)
    assert {launch.device for launch in launches} == {1}
    assert {launch.stream for launch in launches} == {stream.cuda_stream}
    assert torch.cuda.current_device() == 0


@pytest.mark.parametrize("name", CALLS)
def test_nothing_to_do_launches_nothing(name, launch_of):
    if name == "rotary_embedding":
        _, launches = launch_of(OPS.rotary_embedding, *on("cuda", (0, 2, 1, 64), (2, 32), (2, 32)))
    else:
        _, launches = launch_of(CALLS[name], *on("cuda", (0, 64), (64,)))
    assert launches == []


@pytest.mark.parametrize("name", [name for name in CALLS if name != "rotary_embedding"])  # whose rows are tokens
def test_many_rows(name, launch_of):
    """Fewer blocks than rows is fine, a grid that does not fit is not."""
    x, vector = on("cuda", (200_000, 64), (64,), dtype=torch.float16)
    _, launches = launch_of(CALLS[name], x, vector)
    assert all(0 < size < 2**31 for launch in launches for size in launch.grid)


def test_a_thread_that_never_used_cuda(launch_of):
    x = torch.empty(4, 64, device="cuda")
    names = []
    thread = threading.Thread(target=lambda: names.extend(short(one) for one in launch_of(OPS.squared_relu, x)[1]))
    thread.start()
    thread.join()
    assert names == ["squared_relu<float, 4>"]


def test_a_failed_launch_is_an_error(fake_gpu):
    fake_gpu.fail_next(2)
    with pytest.raises(RuntimeError, match=r"launching .*squared_relu<float, 4>"):
        gpuwheel_sample.squared_relu(torch.empty(4, device="cuda"))


def test_tensors_on_two_devices(fake_gpu):
    with pytest.raises(RuntimeError, match="swiglu: up is on cuda:1, gate on cuda:0: they must be on one device"):
        gpuwheel_sample.swiglu(*on("cuda:0", (4,)), *on("cuda:1", (4,)))
    with pytest.raises(RuntimeError, match="bias_gelu: bias is on cuda:0, x on cpu: they must be on one device"):
        gpuwheel_sample.bias_gelu(torch.empty(2, 4), *on("cuda", (4,)))
    assert fake_gpu.launches("gpuwheel_sample") == []


def test_float64_is_for_the_cpu(fake_gpu):
    with pytest.raises(RuntimeError, match="squared_relu: dtype Double is not supported"):
        gpuwheel_sample.squared_relu(torch.empty(3, dtype=torch.float64, device="cuda"))
    assert fake_gpu.launches("gpuwheel_sample") == []
