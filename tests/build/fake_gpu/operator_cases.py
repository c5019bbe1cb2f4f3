"""torch's own operators with device="cuda", each beside the same on the CPU: test_torch_operators.py runs them, with a
CUDA build of torch, in a process that sees two pretend devices.
"""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn
from torch.nn import functional

CUDA = torch.device("cuda", 0)
close = functools.partial(torch.testing.assert_close, check_device=False)


def both(function, *inputs, **close_to):
    """The same values and gradients on both."""
    results = []
    for device in ("cpu", CUDA):
        given = [x.detach().to(device).requires_grad_(x.requires_grad) for x in inputs]
        result = function(*given)
        if any(x.requires_grad for x in given):
            result.sum().backward()
        assert result.device.type == torch.device(device).type
        results.append([result, *(x.grad for x in given if x.requires_grad)])
    for on_cpu, on_gpu in zip(*results, strict=True):
        close(on_gpu, on_cpu, **close_to)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_networks(kind) -> None:
    module = kind(5, 6, 2, bidirectional=True)
    both(lambda x: module.to(x.device)(x)[0].square(), torch.randn(3, 2, 5, requires_grad=True))


@pytest.mark.parametrize("options", [{}, {"groups": 4}, {"dilation": 2}, {"stride": 2}])
@pytest.mark.parametrize(("kind", "size"), [(nn.Conv1d, 1), (nn.Conv2d, 2), (nn.Conv3d, 3), (nn.ConvTranspose2d, 2)])
def test_convolutions(kind, size, options) -> None:
    module = kind(4, 8, 2, **options)
    both(lambda x: module.to(x.device)(x).square(), torch.randn(2, 4, *[6] * size, requires_grad=True))


def test_attention_and_normalisation() -> None:
    q, k, v = (torch.randn(2, 2, 5, 8, requires_grad=True) for _ in range(3))
    both(functools.partial(functional.scaled_dot_product_attention, is_causal=True), q, k, v)
    x, weight = torch.randn(3, 8, requires_grad=True), torch.rand(8, requires_grad=True)
    both(lambda x, w: functional.rms_norm(x, (8,), w).square(), x, weight)
    both(lambda x, w: functional.layer_norm(x, (8,), w).square(), x, weight)
    both(lambda x: functional.batch_norm(x, None, None, training=True).square(), torch.randn(4, 3, requires_grad=True))
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0)
    both(lambda x: layer.to(x.device)(x), torch.randn(2, 5, 16, requires_grad=True))


def test_matrices() -> None:
    a, b = torch.randn(4, 8, dtype=torch.bfloat16), torch.randn(8, 5, dtype=torch.bfloat16)
    both(torch.mm, a, b)
    both(lambda a, b: torch.baddbmm(torch.ones(1, 4, 5, device=a.device, dtype=a.dtype), a[None], b[None]), a, b)
    close(torch.mm(a.to(CUDA), b.to(CUDA), out_dtype=torch.float32), a.float() @ b.float())
    eighth, one = torch.randn(16, 32).to(torch.float8_e4m3fn), torch.ones(())
    both(lambda x, s: torch._scaled_mm(x, x.t(), s, s, out_dtype=torch.bfloat16), eighth, one)
    square = torch.randn(4, 4, dtype=torch.float64)
    for function in (torch.linalg.inv, torch.linalg.svdvals, torch.linalg.det, torch.fft.rfft, torch.linalg.qr):
        both(lambda x, f=function: f(x) if f is not torch.linalg.qr else f(x).R, square)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
@pytest.mark.parametrize("form", ["foreach", "fused", "differentiable"])
def test_optimizers(kind, form) -> None:
    modules = [nn.Linear(8, 4).to(device) for device in ("cpu", CUDA)]
    modules[1].load_state_dict(modules[0].state_dict())
    x = torch.randn(2, 8)
    for module in modules:
        optimizer = kind(module.parameters(), lr=0.1, **({} if form == "differentiable" else {form: True}))
        for _ in range(3):
            optimizer.zero_grad()
            module(x.to(module.weight.device)).square().mean().backward()
            optimizer.step()
    close(modules[1].weight, modules[0].weight)


def test_mixed_precision() -> None:
    module = nn.Linear(8, 4).to(CUDA)
    optimizer, scaler = torch.optim.SGD(module.parameters(), lr=0.1), torch.amp.GradScaler("cuda", init_scale=8.0)
    before = module.weight.detach().clone()
    for factor, changes in ((1.0, True), (float("inf"), False)):
        with torch.autocast("cuda", dtype=torch.float16):
            out = module(torch.randn(2, 8, device=CUDA))
        assert out.dtype is torch.float16
        scaler.scale(out.float().square().mean() * factor).backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        assert torch.equal(module.weight, before) is not changes
        optimizer.zero_grad()
        before = module.weight.detach().clone()
    assert scaler.get_scale() == 4.0


def test_views_see_what_is_written_through_others() -> None:
    x = torch.arange(24.0, device=CUDA).reshape(4, 6)
    x.t()[1:3].add_(100)
    x[::2, 5].zero_()
    x.as_strided((2,), (7,), 9).mul_(-1)
    expected = torch.arange(24.0).reshape(4, 6)
    expected.t()[1:3].add_(100)
    expected[::2, 5].zero_()
    expected.as_strided((2,), (7,), 9).mul_(-1)
    assert torch.equal(x.cpu(), expected)
    pairs = torch.view_as_complex(x.reshape(4, 3, 2))
    both_bits = pairs.conj().imag
    assert both_bits.is_neg()
    close(both_bits + 0, -pairs.cpu().imag)
    close(pairs.conj() * 2j, pairs.cpu().conj() * 2j)
    with pytest.raises(RuntimeError, match="refer to a single memory location"):
        x[0, 1:].copy_(x[0, :-1])


def test_outputs_are_resized_and_written_where_they_are() -> None:
    x, room = torch.randn(4, 6, device=CUDA), torch.zeros(64, device=CUDA)
    out = torch.empty(0, device=CUDA)
    assert torch.add(x, 1, out=out) is out
    close(out, x.cpu() + 1)
    torch.mul(x, 2, out=room[8:32].view(4, 6))
    close(room[8:32], (x.cpu() * 2).reshape(-1))
    assert not room[:8].any()
    assert not room[32:].any()
    values, places = torch.empty(0, device=CUDA), torch.empty(0, device=CUDA, dtype=torch.int64)
    torch.sort(x, out=(values, places))
    close(values, x.cpu().sort().values)
    small = torch.empty(3, device=CUDA)
    with pytest.warns(UserWarning, match="was resized"):
        torch.add(x, 1, out=small)
    close(small, x.cpu() + 1)


@pytest.mark.parametrize(
    "dtype",
    [
        *(torch.bool, torch.uint8, torch.int64, torch.uint16, torch.float16, torch.bfloat16, torch.float64),
        *(torch.complex64, torch.float8_e4m3fn, torch.float8_e5m2),
    ],
)
def test_dtypes_numbers_and_empty_tensors(dtype) -> None:
    x = torch.tensor([0, 1, 3, 2]).to(dtype)
    on_gpu = x.to(CUDA)
    assert torch.equal(on_gpu.cpu(), x)
    assert torch.equal(
        on_gpu.float().cpu() if not dtype.is_complex else on_gpu.cpu(), x.float() if not dtype.is_complex else x
    )
    assert torch.equal(torch.full((3,), 1, dtype=dtype, device=CUDA).cpu(), torch.full((3,), 1, dtype=dtype))
    assert on_gpu[2].to(torch.complex64).item() == x[2].to(torch.complex64).item()
    assert torch.empty(0, 3, dtype=dtype, device=CUDA).clone().shape == (0, 3)
    assert torch.cat((on_gpu, on_gpu)).shape == (8,)


def test_numbers_do_not_decide_a_dtype() -> None:
    small = torch.ones(2, dtype=torch.int8, device=CUDA)
    assert (small + 1).dtype is torch.int8
    assert torch.remainder(small, 2).dtype is torch.int8
    assert (small * 1.5).dtype is torch.float32
    assert (torch.ones(2, device=CUDA, dtype=torch.bfloat16) * 2.0).dtype is torch.bfloat16
    assert (small + torch.tensor(2)).tolist() == [3, 3]


def test_what_no_kernel_takes_is_one_error_with_its_name_and_dtype() -> None:
    with pytest.raises(NotImplementedError, match=r"aten::histc cannot run on the pretend GPU \(of torch.int16\)"):
        torch.histc(torch.ones(3, dtype=torch.int16, device=CUDA))
    q = torch.randn(1, 1, 4, 8, device=CUDA)
    with pytest.raises(NotImplementedError, match=r"aten::_scaled_dot_product_flash_attention cannot run .*\n.*MATH"):
        torch.ops.aten._scaled_dot_product_flash_attention(q, q, q)
    with pytest.raises(IndexError):  # which a GPU would assert
        torch.ones(3, device=CUDA)[torch.tensor([5], device=CUDA)]


def test_narrow_numbers_that_the_cpu_lacks_are_computed_in_wider_ones() -> None:
    x = torch.randn(2, 16).half()
    close(
        torch.fft.rfft(x.to(CUDA)).to(torch.complex64),
        torch.fft.rfft(x.float()).to(torch.complex32).to(torch.complex64),
    )
    y = torch.randn(1, 4, 4, 4).bfloat16()
    pooled = functional.avg_pool3d(y.to(CUDA)[None], 2)
    assert pooled.dtype is torch.bfloat16
    close(pooled, functional.avg_pool3d(y.float()[None], 2).bfloat16())


def test_random_numbers_are_repeated_by_seeds_and_states() -> None:
    def draw():
        module = nn.Dropout(0.5)
        x = torch.rand(8, device=CUDA)
        return torch.cat((x, module(torch.ones(32, device=CUDA)), torch.randperm(9, device=CUDA), x.exponential_()))

    torch.cuda.manual_seed(7)
    first = draw()
    state, second = torch.cuda.get_rng_state(), draw()
    assert not torch.equal(first, second)
    torch.cuda.manual_seed(7)
    assert torch.equal(draw(), first)
    torch.cuda.set_rng_state(state)
    assert torch.equal(draw(), second)
    generator = torch.Generator(device=CUDA).manual_seed(3)
    drawn = [torch.randn(4, device=CUDA, generator=generator) for _ in range(2)]
    assert not torch.equal(*drawn)
    assert torch.equal(torch.randn(4, device=CUDA, generator=generator.manual_seed(3)), drawn[0])
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    draw()
    assert torch.equal(torch.rand(3), expected)  # the CPU's generator did not notice
    x = torch.ones(64, device=CUDA, requires_grad=True)
    y = torch.utils.checkpoint.checkpoint(functional.dropout, x, use_reentrant=False)
    y.sum().backward()
    assert torch.equal(y.detach(), x.grad)
    mean = torch.randn(4096, device=CUDA).mean().item()
    assert abs(mean) < 0.1


def test_graphs_run_operators_when_they_are_launched() -> None:
    x, table = torch.ones(4, device=CUDA), torch.arange(12.0, device=CUDA).reshape(3, 4)
    at = torch.tensor([2, 0], device=CUDA)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = x * 2
        x.add_(1)
        noise = torch.rand(4, device=CUDA)
        total = y.sum()
        rows = table.index_select(0, at)
        out = torch.empty(0, device=CUDA)
        torch.add(y, 1, out=out)
    assert x.tolist() == [1, 1, 1, 1]
    assert y.isnan().all()
    torch.cuda.manual_seed(2)
    seen = []
    for launch in (1, 2, 3):
        if launch == 3:
            torch.cuda.manual_seed(2)
        graph.replay()
        assert y.tolist() == [2.0 * launch] * 4
        assert (total.item(), out.tolist()) == (8.0 * launch, [2.0 * launch + 1] * 4)
        assert torch.equal(rows, table[[2, 0]])
        seen.append(noise.clone())
        table += 1
    assert not torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], seen[2])
    with pytest.raises(RuntimeError, match="capturing"), torch.cuda.graph(torch.cuda.CUDAGraph()):
        x.nonzero()


def test_a_training_step_as_a_graph() -> None:
    modules = [nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2)).to(device) for device in ("cpu", CUDA)]
    modules[1].load_state_dict(modules[0].state_dict())
    kept = torch.randn(6, 4)
    static = kept.to(CUDA)
    optimizers = [torch.optim.SGD(module.parameters(), lr=0.1) for module in modules]
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        modules[1](static).square().mean().backward()
        optimizers[1].step()
        optimizers[1].zero_grad(set_to_none=False)
    for step in range(3):
        static.copy_(kept + step)
        graph.replay()
        modules[0](kept + step).square().mean().backward()
        optimizers[0].step()
        optimizers[0].zero_grad()
    close(modules[1][0].weight, modules[0][0].weight)


def test_several_devices() -> None:
    a, b = torch.ones(3, device="cuda:0"), torch.ones(3, device="cuda:1")
    for other in (b, torch.ones(3)):
        with pytest.raises(RuntimeError, match="same device"):
            a + other
    with pytest.raises(RuntimeError, match="same device"):
        torch.mm(torch.ones(2, 2, device=CUDA), torch.ones(2, 2))
    b.copy_(a * 2)
    assert b.tolist() == [2, 2, 2]
    assert (b * 3).device == b.device
    b[::2].copy_(a[:2])
    assert b.tolist() == [1, 2, 1]
    assert a.to("cuda:1", torch.float64).device == b.device
    with torch.cuda.device(1):
        assert torch.zeros(2, device="cuda").device == b.device
    assert a.to("cuda:1", non_blocking=True).sum().item() == 3


def test_copies_streams_and_pinned_memory() -> None:
    pinned = torch.arange(8.0).pin_memory()
    assert pinned.is_pinned()
    stream, done = torch.cuda.Stream(), torch.cuda.Event()
    with torch.cuda.stream(stream):
        x = pinned.to(CUDA, non_blocking=True)
        y = (x * 2).to(torch.float16)
        done.record()
    torch.cuda.current_stream().wait_event(done)
    host = torch.empty(8, dtype=torch.float16).pin_memory()
    host.copy_(y, non_blocking=True)
    torch.cuda.synchronize()
    assert host.tolist() == [2.0 * i for i in range(8)]
    x.t_() if x.dim() == 2 else x.view(2, 4).t().copy_(torch.ones(4, 2))
    assert x.sum().item() == 8
    loader = torch.utils.data.DataLoader(torch.arange(8.0), batch_size=4, pin_memory=True)
    assert [batch.to(CUDA, non_blocking=True).sum().item() for batch in loader] == [6.0, 22.0]


def test_derivatives_of_derivatives_and_transforms() -> None:
    x = torch.randn(3, device=CUDA, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(x.sin().sum(), x, create_graph=True)
    gradient.sum().backward()
    close(x.grad, -x.detach().sin())
    assert torch.autograd.gradcheck(torch.sigmoid, (x.detach().requires_grad_(),))
    rows = torch.randn(3, 4, device=CUDA)
    close(torch.func.vmap(torch.func.grad(lambda row: row.sin().sum()))(rows), rows.cpu().cos())
    torch.set_default_device(CUDA)
    try:
        assert (torch.ones(2) + 1).is_cuda
        assert torch.arange(3).sum().item() == 3
    finally:
        torch.set_default_device(None)


def test_profilers_and_compilers() -> None:
    with torch.autograd.profiler.profile() as profiled:
        torch.ones(4, device=CUDA) * 2
    assert [event.count for event in profiled.key_averages() if event.key == "aten::mul"] == [1]
    for backend in ("eager", "aot_eager"):
        compiled = torch.compile(lambda x: (x.sin() + 1) * x, backend=backend)
        both(lambda x, f=compiled: f(x), torch.randn(5, requires_grad=True))


def test_inductor_says_what_to_do() -> None:
    with pytest.raises(Exception, match=r"inductor cannot run on the pretend GPU(.|\n)*aot_eager"):
        torch.compile(lambda x: x + 1)(torch.ones(3, device=CUDA))


def test_sparse_tensors() -> None:
    dense = torch.tensor([[0.0, 2.0, 0.0], [1.0, 0.0, 3.0]])
    other = torch.randn(3, 2)
    for layout in (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc):
        x, on_gpu = dense.to_sparse(layout=layout), dense.to(CUDA).to_sparse(layout=layout)
        assert on_gpu.layout is layout
        assert on_gpu.is_cuda
        close(on_gpu.to_dense(), dense)
        close((on_gpu * 2).to_dense(), dense * 2)
        if layout is not torch.sparse_csc:
            close(on_gpu @ other.to(CUDA), x @ other)
    x = dense.to(CUDA).to_sparse()
    x.add_(x)
    x.mul_(3)
    close(x.coalesce().to_dense(), dense * 6)
    embedding = nn.Embedding(10, 4, sparse=True).to(CUDA)
    before = embedding.weight.detach().clone()
    embedding(torch.tensor([1, 2, 2], device=CUDA)).sum().backward()
    torch.optim.SGD(embedding.parameters(), lr=1.0).step()
    changed = (before - embedding.weight.detach()).sum(1)
    close(changed, torch.tensor([0.0, 4.0, 8.0, *[0.0] * 7]))


def test_nested_tensors() -> None:
    rows = [torch.randn(2, 4), torch.randn(3, 4)]
    padded = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    for layout in (torch.strided, torch.jagged):
        nested = torch.nested.nested_tensor(rows, device=CUDA, layout=layout)
        close((nested * 2).to_padded_tensor(0.0), padded * 2)
        linear = nn.Linear(4, 3)
        linear_on_gpu = nn.Linear(4, 3).to(CUDA)
        linear_on_gpu.load_state_dict(linear.state_dict())
        close(linear_on_gpu(nested).unbind()[1], linear(rows[1]))


def test_functions_of_torch_cuda() -> None:
    torch.cuda.synchronize()
    assert torch.cuda.get_device_properties(1).total_memory == torch.cuda.mem_get_info(1)[1]
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    assert "Allocated memory" in torch.cuda.memory_summary()
    torch.cuda.empty_cache()
    assert torch.cuda.memory_allocated() >= 0
