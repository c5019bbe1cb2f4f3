"""What people do with tensors of the device around their own operators: test_torch_operators.py runs it, with a CUDA
build of torch, in a process that sees two pretend devices.
"""

from __future__ import annotations

import copy
import io
import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

CUDA = torch.device("cuda", 0)
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def scripted(x: torch.Tensor) -> torch.Tensor:
    return (x * 2 + 1).relu() * x.sigmoid()


def child(queue) -> None:
    queue.put((torch.ones(2, device=CUDA) * 3).cpu().sum().item())


@pytest.mark.parametrize(
    "dtype",
    [
        *(torch.bool, torch.uint16, torch.uint32, torch.uint64, torch.float16, torch.bfloat16, torch.complex32),
        *(torch.complex128, torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e8m0fnu),
    ],
)
def test_tensors_are_compared_and_printed(dtype) -> None:
    x = torch.tensor([1.0, 2.0, 4.0]).to(dtype)
    on_gpu = x.to(CUDA)
    torch.testing.assert_close(on_gpu, on_gpu.clone())
    torch.testing.assert_close(on_gpu, x, check_device=False)
    assert torch.equal(on_gpu, x.to(CUDA))
    assert "device='cuda:0'" in repr(on_gpu)
    assert on_gpu.tolist() == x.tolist()


def test_comparisons_fail_as_elsewhere() -> None:
    x = torch.randn(3, device=CUDA)
    with pytest.raises(AssertionError, match="Mismatched elements: 3 / 3"):
        torch.testing.assert_close(x, x + 1)
    with pytest.raises(AssertionError, match="device"):
        torch.testing.assert_close(x, x.cpu())


def test_custom_operators_pass_opcheck() -> None:
    @torch.library.custom_op("user_cases::scale", mutates_args=())
    def scale(x: torch.Tensor, by: float) -> torch.Tensor:
        return x * by

    def remember(ctx, inputs, output) -> None:
        del output
        ctx.by = inputs[1]

    @scale.register_fake
    def like(x, by):
        del by
        return torch.empty_like(x)

    scale.register_autograd(lambda ctx, grad: (grad * ctx.by, None), setup_context=remember)
    x = torch.randn(3, 4, device=CUDA, requires_grad=True)
    torch.library.opcheck(scale, (x, 2.0))
    torch.library.opcheck(scale, (x.detach().t(), 2.0))

    @torch.library.custom_op("user_cases::increment", mutates_args={"x"})
    def increment(x: torch.Tensor) -> None:
        x.add_(1)

    torch.library.opcheck(increment, (torch.randn(3, 4, device=CUDA),))
    compiled = torch.compile(lambda x: scale(x, 2.0) + 1, backend="aot_eager", fullgraph=True)
    compiled(x).sum().backward()
    assert x.grad.tolist() == [[2.0] * 4] * 3
    assert torch.autograd.gradcheck(lambda x: scale(x, 2.0), (x.detach().double().requires_grad_(),))


def test_gradients_are_checked_in_all_ways() -> None:
    a, b = (torch.randn(*s, device=CUDA, dtype=torch.complex128, requires_grad=True) for s in ((3, 4), (4, 2)))
    assert torch.autograd.gradcheck(torch.mm, (a, b), check_forward_ad=True, check_batched_grad=True)
    x = torch.randn(3, 4, device=CUDA, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: functional.layer_norm(x, (4,)).sin(), (x,))


def test_torchscript_runs_unfused() -> None:
    x = torch.randn(3, 4)
    for function in (torch.jit.script(scripted), torch.jit.trace(scripted, (x.to(CUDA),))):
        for _ in range(4):  # it is fused after some calls
            torch.testing.assert_close(function(x.to(CUDA)).cpu(), scripted(x))


def test_exported_programs() -> None:
    class Module(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sin() + 1

    kept = io.BytesIO()
    torch.export.save(torch.export.export(Module(), (torch.randn(3, device=CUDA),)), kept)
    kept.seek(0)
    x = torch.randn(3)
    torch.testing.assert_close(torch.export.load(kept).module()(x.to(CUDA)).cpu(), x.sin() + 1)


def test_graphed_callables() -> None:
    module = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    on_gpu = copy.deepcopy(module).to(CUDA)
    graphed = torch.cuda.make_graphed_callables(on_gpu, (torch.randn(3, 4, device=CUDA, requires_grad=True),))
    for _ in range(3):
        module.zero_grad()
        on_gpu.zero_grad()
        x = torch.randn(3, 4)
        mine, theirs = x.to(CUDA).requires_grad_(), x.clone().requires_grad_()
        graphed(mine).square().sum().backward()
        module(theirs).square().sum().backward()
        torch.testing.assert_close(mine.grad.cpu(), theirs.grad)
        for left, right in zip(on_gpu.parameters(), module.parameters(), strict=True):
            torch.testing.assert_close(left.grad.cpu(), right.grad)


@pytest.mark.parametrize(
    "name", ["Adagrad", "Adadelta", "Adam", "NAdam", "RAdam", "Adamax", "ASGD", "RMSprop", "Rprop"]
)
@pytest.mark.parametrize("form", ["foreach", "capturable"])
def test_more_optimizers(name, form) -> None:
    kind = getattr(torch.optim, name)
    modules = [nn.Linear(4, 4).to(device) for device in ("cpu", CUDA)]
    modules[1].load_state_dict(modules[0].state_dict())
    words = {form: True} if form in kind.__init__.__annotations__ else {}
    optimizers = [kind(modules[0].parameters()), kind(modules[1].parameters(), **words)]
    x = torch.randn(3, 4)
    for _ in range(3):
        for module, optimizer in zip(modules, optimizers, strict=True):
            optimizer.zero_grad()
            module(x.to(module.weight.device)).square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(modules[1].weight.cpu(), modules[0].weight)


def test_memory_is_counted() -> None:
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    x = torch.empty(1000, device=CUDA)
    assert torch.cuda.memory_allocated() - before == 4096
    other = torch.empty(8, device="cuda:1")
    assert torch.cuda.memory_allocated() - before == 4096
    assert torch.cuda.memory_allocated(1) >= other.nbytes
    del x
    assert torch.cuda.memory_allocated() == before
    assert torch.cuda.max_memory_allocated() - before == 4096
    torch.cuda.reset_peak_memory_stats()
    assert torch.cuda.max_memory_allocated() == torch.cuda.memory_reserved() == before
    assert torch.cuda.memory_stats()["allocated_bytes.all.current"] == before
    torch.cuda.memory_snapshot()


def test_facts_that_programs_print() -> None:
    assert torch.backends.cudnn.version() > 90_000
    assert torch.cuda.get_device_name() == torch.cuda.get_device_properties(0).name
    assert torch.cuda.can_device_access_peer(0, 1)
    assert "cuda" in torch.__config__.show().lower()


def test_other_forms_of_the_same_memory() -> None:
    x = torch.randn(3, device=CUDA)
    assert torch.from_dlpack(x).data_ptr() == x.data_ptr()
    with pytest.raises((RuntimeError, BufferError), match="device"):
        np.from_dlpack(x)
    with pytest.raises(TypeError, match="cuda"):
        x.numpy()

    class Foreign:
        __cuda_array_interface__ = x.__cuda_array_interface__

    torch.testing.assert_close(torch.as_tensor(Foreign(), device=CUDA), x)
    assert torch.from_numpy(np.arange(3.0)).to(CUDA).cpu().numpy().tolist() == [0, 1, 2]


def test_saved_tensors_go_to_other_devices() -> None:
    kept = io.BytesIO()
    torch.save({"x": torch.arange(3.0, device=CUDA), "module": nn.Linear(2, 2).to(CUDA).state_dict()}, kept)
    for where, device in ((None, "cuda:0"), ("cpu", "cpu"), ("cuda:1", "cuda:1"), ({"cuda:0": "cuda:1"}, "cuda:1")):
        kept.seek(0)
        x = torch.load(kept, map_location=where)["x"]
        assert str(x.device) == device
        assert x.tolist() == [0, 1, 2]


def test_other_processes() -> None:
    context = torch.multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    assert queue.get(timeout=120) == 6.0
    process.join()
    with pytest.raises(NotImplementedError, match=r"cannot be shared with another process(.|\n)*tensor.cpu\(\)"):
        torch.multiprocessing.reductions.reduce_tensor(torch.ones(3, device=CUDA))


def test_threads_have_streams_of_their_own() -> None:
    failed = []

    def work() -> None:
        try:
            with torch.cuda.stream(torch.cuda.Stream()):
                for _ in range(20):
                    x = torch.randn(8, 8, device=CUDA, requires_grad=True)
                    (x @ x).sum().backward()
        except BaseException as error:  # noqa: BLE001 - told by the test
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_data_parallel() -> None:
    module = nn.Linear(4, 2)
    x = torch.randn(6, 4)
    parallel = nn.DataParallel(copy.deepcopy(module).to(CUDA), device_ids=[0, 1])
    parallel(x.to(CUDA)).square().sum().backward()
    module(x).square().sum().backward()
    torch.testing.assert_close(parallel.module.weight.grad.cpu(), module.weight.grad)


def test_channels_last_stays() -> None:
    last = {"memory_format": torch.channels_last}
    x = torch.randn(2, 4, 6, 6, device=CUDA).to(**last)
    y = nn.Conv2d(4, 8, 3).to(CUDA, **last)(x)
    for result in (y, functional.max_pool2d(y, 2), nn.BatchNorm2d(8).to(CUDA)(y), y.relu(), y + 1):
        assert result.is_contiguous(**last)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_products_of_integers_fail_as_on_a_gpu(dtype) -> None:
    x = torch.ones(1, 4, 4, dtype=dtype, device=CUDA)
    calls = [lambda: x @ x, lambda: x[0, 0] @ x[0, 0], lambda: functional.linear(x[0], x[0])]
    calls += [lambda: functional.conv2d(x[None], x[None]), lambda: functional.max_pool2d(x, 2)]
    calls += [lambda: torch.addmm(x[0], x[0], x[0], out=torch.empty_like(x[0])), lambda: x.clone().baddbmm_(x, x)]
    for call in calls:
        with pytest.raises(RuntimeError, match=r"runs on no GPU .*not implemented for '(Byte|Char|Short|Int|Long)'"):
            call()
    assert (x[:, :0] @ x).shape == (1, 0, 4)
    assert torch.equal((x + x).cpu(), (x * 2).cpu())


def test_narrow_numbers_are_written_as_well() -> None:
    truth = torch.tensor([True, False], device=CUDA)
    assert truth.abs().tolist() == torch.abs(truth, out=torch.empty_like(truth)).tolist() == [True, False]
    z = torch.tensor([1 + 2j, 3], dtype=torch.complex32, device=CUDA)
    expected = z.to(torch.complex64).acos().to(torch.complex32)
    room = torch.zeros(2, 2, dtype=torch.complex32, device=CUDA)
    torch.acos(z, out=room[:, 0])
    assert torch.equal(room[:, 0], expected)
    assert not room[:, 1].to(torch.complex64).any()
    assert torch.equal(torch.acos(z, out=torch.empty(0, dtype=torch.complex32, device=CUDA)), expected)
    assert torch.equal(z.acos_(), expected)


def test_narrow_gradients_of_losses() -> None:
    x, target = torch.randn(3, 5, dtype=torch.float16), torch.tensor([1, 0, 4])
    given = [x.to(device, copy=True).requires_grad_() for device in ("cpu", CUDA)]
    functional.multi_margin_loss(given[1], target.to(CUDA)).backward()
    functional.multi_margin_loss(given[0].float(), target).backward()
    assert given[1].grad.dtype is torch.float16
    torch.testing.assert_close(given[1].grad.cpu(), given[0].grad)


def test_what_an_output_says_of_its_memory_is_kept() -> None:
    a, b = torch.randn(3, 3, dtype=torch.complex64), torch.randn(4, 3, dtype=torch.complex64)
    factors = torch.linalg.lu_factor(a)
    out = torch.empty(4, 3, dtype=torch.complex64, device=CUDA)  # is conjugated where it is
    torch.linalg.lu_solve(*(t.to(CUDA) for t in factors), b.to(CUDA), left=False, out=out)
    torch.testing.assert_close(out.cpu(), torch.linalg.lu_solve(*factors, b, left=False))


def test_operators_of_all_backends_that_launch_kernels() -> None:
    z = torch.tensor([1 + 2j, 3], device=CUDA)
    assert z.conj_physical_().tolist() == [1 - 2j, 3]
    out = tuple(torch.empty(0, dtype=torch.int64, device=CUDA) for _ in range(2))
    torch.mode(torch.tensor([1, 2, 2], device=CUDA), out=out)
    assert out[0].item() == 2


def test_forward_derivatives_that_are_zero() -> None:
    x = torch.randn(3, device=CUDA, dtype=torch.float64)
    _, tangent = torch.func.jvp(torch.sgn, (x,), (torch.ones_like(x),))
    assert tangent.tolist() == [0, 0, 0]


def test_one_of_two_outputs_is_resized() -> None:
    room, places = torch.zeros(3, 2, device=CUDA), torch.empty(0, device=CUDA, dtype=torch.int64)
    torch.sort(torch.tensor([3.0, 1.0, 2.0], device=CUDA), out=(room[:, 0], places))
    assert room.tolist() == [[1, 0], [2, 0], [3, 0]]
    assert places.tolist() == [1, 2, 0]


def test_backends_that_need_more_than_operators() -> None:
    with pytest.raises(Exception, match=r"cudagraphs cannot run on the pretend GPU(.|\n)*aot_eager"):
        torch.compile(lambda x: x.sin() + 1, backend="cudagraphs")(torch.ones(3, device=CUDA))
