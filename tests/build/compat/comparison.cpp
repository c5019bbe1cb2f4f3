// Calls of torch's C++ API, compiled against torch's own headers and against gpuwheel's: each answers with text or tensors.
#include <ATen/AccumulateType.h>
#include <ATen/OpMathType.h>
#include <ATen/Parallel.h>
#include <ATen/TensorUtils.h>
#include <ATen/autocast_mode.h>
#include <ATen/ceil_div.h>
#include <torch/extension.h>

#include <map>

using at::indexing::Ellipsis;
using at::indexing::None;
using at::indexing::Slice;
using torch::Tensor;
using Texts = std::map<std::string, std::string (*)(Tensor, Tensor)>;
using Tensors = std::map<std::string, std::vector<Tensor> (*)(Tensor, Tensor)>;

Texts texts();
Tensors tensors();

template <class T>
std::string joined(const T& values) {
  std::string s;
  for (const auto& v : values) s += c10::str(v, " ");
  return s;
}
template <class T>
std::string accessed(const Tensor& x) {
  std::string s;
  const auto a = x.accessor<T, 2>();
  for (int64_t i = 0; i < a.size(0); ++i)
    for (int64_t j = 0; j < a.size(1); ++j) s += c10::str(a[i][j], " ");
  return s;
}
template <class T, size_t N>
std::string packed(const Tensor& x) {
  auto a = x.packed_accessor32<T, N>();
  auto b = x.packed_accessor64<T, N>();
  return c10::str(a.size(0), a.stride(0), b.size(0), b.stride(0), a.data() == b.data());
}

#define TEXT(...) {#__VA_ARGS__, [](Tensor x, Tensor y) -> std::string { (void)x, (void)y; return c10::str(__VA_ARGS__); }}
#define TENSOR(...) {#__VA_ARGS__, [](Tensor x, Tensor y) -> std::vector<Tensor> { (void)x, (void)y; return {__VA_ARGS__}; }}
// Statements that change x; its values are the answer.
#define CHANGE(...) {#__VA_ARGS__, [](Tensor x, Tensor y) -> std::vector<Tensor> { (void)y; __VA_ARGS__; return {x}; }}
// Statements that throw, or say "done".
#define FAIL(...) {#__VA_ARGS__, [](Tensor x, Tensor y) -> std::string { (void)x, (void)y; __VA_ARGS__; return "done"; }}
// A check of arguments: a and b are x and y, z has other sizes, u is undefined.
#define CHECK(...) {#__VA_ARGS__, [](Tensor x, Tensor y) -> std::string { \
  const Tensor z = at::ones({1, 1, 77}), u; const at::TensorArg a(x, "x", 1), b(y, "y", 0); (void)z, (void)u, (void)a, (void)b; __VA_ARGS__; return "done"; }}

Texts texts() {
  return {
      // what a tensor is
      TEXT(x.dim()), TEXT(x.ndimension()), TEXT(x.numel()), TEXT(x.sizes()), TEXT(x.strides()), TEXT(x.size(0)), TEXT(x.size(-1)), TEXT(x.size(5)),
      TEXT(x.stride(0)), TEXT(x.stride(-7)), TEXT(x.storage_offset()), TEXT(x.is_contiguous()), TEXT(x.is_contiguous(at::MemoryFormat::ChannelsLast)),
      TEXT(x.suggest_memory_format()), TEXT(x.is_non_overlapping_and_dense()), TEXT(x.scalar_type()), TEXT(x.dtype()), TEXT(x.dtype().name()),
      TEXT(x.dtype().itemsize()), TEXT(x.dtype() == at::kFloat, at::kFloat == x.dtype(), x.dtype() != y.dtype(), x.dtype() == y.dtype()),
      TEXT(c10::typeMetaToScalarType(x.dtype())), TEXT(x.itemsize()), TEXT(x.element_size()), TEXT(x.nbytes()), TEXT(x.layout()), TEXT(x.device()),
      TEXT(x.device().type()), TEXT(static_cast<int>(x.device().index())), TEXT(static_cast<int>(x.get_device())), TEXT(x.options()), TEXT(x.options().requires_grad(true).device()),
      TEXT(x.toString()), TEXT(x.is_cuda(), x.is_cpu(), x.is_meta(), x.is_sparse(), x.is_quantized(), x.is_mkldnn(), x.is_xpu(), x.is_mps()),
      TEXT(x.is_floating_point(), x.is_complex(), x.is_signed(), x.is_conj(), x.is_neg()), TEXT(x.defined()), TEXT(Tensor().defined()),
      TEXT(x.is_same(x), x.is_same(y), x.is_same(x.alias()), Tensor().is_same(Tensor())), TEXT(x.is_alias_of(x.view(-1)), x.is_alias_of(y)),
      TEXT(x.sym_size(0), x.sym_numel(), x.sym_sizes(), x.sym_strides(), x.sym_storage_offset()), TEXT(x.storage().nbytes()),
      TEXT(x.data_ptr() == x.const_data_ptr(), x.data_ptr() == x.mutable_data_ptr()), TEXT(x.data_ptr<float>() == x.data_ptr()),
      TEXT(x.const_data_ptr<double>() == x.data_ptr()), TEXT(*x.data_ptr<at::Half>()), TEXT(*x.data_ptr<int64_t>()), TEXT(*x.const_data_ptr<bool>()),
      // gradients
      TEXT(x.requires_grad(), x.is_leaf()), TEXT(x._version(), x.output_nr(), x.retains_grad()), TEXT((x * 2).is_leaf(), (x * 2).requires_grad()),
      TEXT(x.grad().defined()), TEXT(x.detach().requires_grad()), TEXT(x.data().is_leaf(), x.data()._version()),
      TEXT(([&] { at::NoGradGuard guard; return (x * 2).requires_grad(); }()), at::GradMode::is_enabled()),
      TEXT(([&] { at::AutoGradMode guard(false); return at::GradMode::is_enabled(); }()), at::GradMode::is_enabled()),
      FAIL((x * 2).requires_grad_(false)), FAIL(x.backward()),
      // values out of it
      TEXT(x.item<float>()), TEXT(x.item<double>()), TEXT(x.item<int>()), TEXT(x.item<int64_t>()), TEXT(static_cast<int>(x.item<uint8_t>())), TEXT(x.item<bool>()),
      TEXT(x.item<at::Half>()), TEXT(x.item<c10::complex<double>>()), TEXT(x.item()), TEXT(x.view(-1)[0].item<float>()), TEXT(x.view(-1)[1].item()),
      TEXT(x.view(-1)[0].item<int16_t>()), TEXT(accessed<float>(x)), TEXT(accessed<double>(x)), TEXT(accessed<int64_t>(x)), TEXT(accessed<bool>(x)),
      TEXT(packed<float, 2>(x)), TEXT(packed<float, 1>(x)), TEXT(packed<int64_t, 2>(x)), TEXT(x.accessor<float, 3>().size(0)),
      // what is undefined
      TEXT(Tensor().dim()), TEXT(Tensor().sizes()), TEXT(Tensor().strides()), TEXT(Tensor().numel()), TEXT(Tensor().scalar_type()), TEXT(Tensor().dtype()),
      TEXT(Tensor().device()), TEXT(Tensor().data_ptr()), TEXT(Tensor().itemsize()), TEXT(Tensor().options()), TEXT(Tensor().item<float>()), TEXT(Tensor().is_cuda()),
      TEXT(Tensor().requires_grad()), TEXT(Tensor().data_ptr<float>()), TEXT(Tensor().toString()), TEXT(Tensor().layout()), FAIL(Tensor() + x), FAIL(x.add(Tensor())), FAIL(Tensor().sum()),
      // element types
      TEXT(at::isIntegralType(x.scalar_type(), false), at::isIntegralType(x.scalar_type(), true), at::isFloatingType(x.scalar_type()), at::isComplexType(x.scalar_type()), at::isReducedFloatingType(x.scalar_type())),
      TEXT(at::toAccumulateType(x.scalar_type(), true), at::toAccumulateType(x.scalar_type(), false), at::toOpMathType(x.scalar_type())),
      TEXT(c10::elementSize(x.scalar_type()), c10::toString(x.scalar_type()), c10::toRealValueType(x.scalar_type())), TEXT(c10::toComplexType(x.scalar_type())),
      TEXT(at::promote_types(x.scalar_type(), y.scalar_type()), at::result_type(x, y), at::can_cast(x.scalar_type(), at::kInt)),
      TEXT(std::is_same_v<at::opmath_type<at::Half>, float>, std::is_same_v<at::acc_type<float, true>, float>, std::is_same_v<at::acc_type<float, false>, double>, std::is_same_v<at::acc_type<int, true>, int64_t>),
      TEXT(caffe2::TypeMeta::Make<float>(), caffe2::TypeMeta::Make<int64_t>(), caffe2::TypeMeta::Make<at::BFloat16>(), caffe2::TypeMeta(), caffe2::TypeMeta::Make<bool>().itemsize()),
      TEXT(caffe2::TypeMeta::Make<uint8_t>(), caffe2::TypeMeta::Make<int8_t>(), caffe2::TypeMeta::Make<int16_t>(), caffe2::TypeMeta::Make<int>(), caffe2::TypeMeta::Make<c10::complex<float>>(), caffe2::TypeMeta::Make<at::Half>()),
      // options
      TEXT(torch::TensorOptions()), TEXT(torch::dtype(torch::kInt32)), TEXT(torch::device(torch::kCUDA)), TEXT(torch::device({torch::kCUDA, 1}).dtype(torch::kHalf)),
      TEXT(torch::dtype(torch::kFloat16).layout(torch::kSparse).requires_grad(true).pinned_memory(true).memory_format(at::MemoryFormat::ChannelsLast)),
      TEXT(torch::TensorOptions("cuda:1"), torch::TensorOptions(torch::kLong), torch::TensorOptions(torch::kStrided), torch::TensorOptions(at::MemoryFormat::Preserve)),
      TEXT(x.options().dtype(torch::kInt8).merge_in(torch::dtype(torch::kLong)), x.options().merge_in(torch::requires_grad())),
      TEXT(x.options().has_dtype(), x.options().has_requires_grad(), torch::TensorOptions().has_device(), x.options().dtype_opt().has_value(), x.options().type_equal(y.options())),
      TEXT(torch::requires_grad().requires_grad(), torch::TensorOptions().pinned_memory(), torch::TensorOptions().dtype(), torch::TensorOptions().layout(), static_cast<int>(torch::TensorOptions().device_index())),
      // devices
      TEXT(at::Device("cuda:1")), TEXT(at::Device("cpu").has_index()), TEXT(at::Device("nothing")), TEXT(at::Device("cuda:01")), TEXT(at::Device(at::kCUDA, 3).str()),
      TEXT(at::Device(at::kCUDA, 1) == at::Device("cuda:1"), at::Device("cuda") == at::Device(at::kCUDA), at::Device(at::kCUDA) != at::Device(at::kCPU)),
      TEXT(at::kCPU, at::kCUDA, at::kMeta, at::kXPU, at::kMPS, c10::DeviceTypeName(at::kHIP), c10::DeviceTypeName(at::kPrivateUse1, true)),
      TEXT(at::kStrided, at::kSparse, at::kSparseCsr, at::kMkldnn, at::MemoryFormat::Contiguous, at::MemoryFormat::Preserve, at::MemoryFormat::ChannelsLast3d),
      // scalars
      TEXT(at::Scalar(3), at::Scalar(2.5), at::Scalar(true), at::Scalar(c10::complex<double>(1, -2)), at::Scalar(at::Half(1.5)), at::Scalar(at::BFloat16(2.5)), at::Scalar()),
      TEXT(at::Scalar(3).type(), at::Scalar(2.5f).type(), at::Scalar(true).type(), at::Scalar(c10::complex<float>(1, 2)).type(), at::Scalar(~uint64_t{0}).type()),
      TEXT(at::Scalar(2.7).to<int>(), at::Scalar(2.7).toLong(), at::Scalar(3).toDouble(), at::Scalar(3).toFloat(), at::Scalar(0.5).toBool(), at::Scalar(true).toInt()),
      TEXT(static_cast<int>(at::Scalar(300).to<int8_t>())), TEXT(at::Scalar(1e300).toFloat()), TEXT(at::Scalar(1e300).toLong()), TEXT(static_cast<int>(at::Scalar(-1).to<uint8_t>())),
      TEXT(at::Scalar(c10::complex<double>(1, 2)).toDouble()), TEXT(at::Scalar(c10::complex<double>(1, 0)).toDouble()), TEXT(at::Scalar(70000).toHalf()),
      TEXT(at::Scalar(3).equal(3), at::Scalar(3).equal(3.5), at::Scalar(true).equal(true), at::Scalar(true).equal(1), at::Scalar(2.5).equal(2.5), at::Scalar(3).isIntegral(false), at::Scalar(true).isIntegral(true)),
      TEXT(-at::Scalar(3), -at::Scalar(2.5), at::Scalar(c10::complex<double>(1, 2)).conj(), at::Scalar(2.0).log()), TEXT(-at::Scalar(true)),
      TEXT(at::Scalar(~uint64_t{0}).toUInt64()),
      // lists
      TEXT(at::IntArrayRef({1, 2, 3}), at::IntArrayRef(7), at::IntArrayRef()), TEXT(at::IntArrayRef({1, 2, 3}).at(5)), TEXT(at::IntArrayRef({1, 2, 3}).slice(1), at::IntArrayRef({1, 2, 3}).slice(1, 1)),
      TEXT(at::IntArrayRef({1, 2, 3}).slice(2, 5)), TEXT(at::IntArrayRef({}).front()), TEXT(at::IntArrayRef({1, 2}) == at::IntArrayRef({1, 2}), at::IntArrayRef({1}).equals({2}), x.sizes() == y.sizes(), x.sizes().vec().size()),
      TEXT(joined(std::vector<int64_t>(x.sizes().rbegin(), x.sizes().rend())), x.sizes().empty(), x.sizes().size()), TEXT(x.sizes()[0] + x.sizes().back(), x.sizes().front()),
      TEXT(at::OptionalIntArrayRef().has_value(), at::OptionalIntArrayRef(3)->size(), at::OptionalIntArrayRef(x.sizes()).value(), c10::nullopt == c10::optional<int>(), c10::make_optional(3).value()),
      // indices
      TEXT(Slice(1), Slice(1, None, 2), Slice(None, None, -1), Slice()), TEXT(at::indexing::TensorIndex("..."), at::indexing::TensorIndex(None), at::indexing::TensorIndex(3), at::indexing::TensorIndex(true), at::indexing::TensorIndex(Slice(1, 2))),
      FAIL(Slice(0, 1, 0)), FAIL(at::indexing::TensorIndex("..")), FAIL(x.index({0, 0, 0, 0})), FAIL(x.index({Slice(0, 1, -1)})), FAIL(x.index({9})), FAIL(x[9]), FAIL(x[at::Scalar(1.5)]), FAIL(x[Tensor()]), FAIL(x[at::ones({2})]),
      FAIL(x.index({at::ones({2})})), FAIL(x.index({at::zeros({3, 3}, at::kBool)})), FAIL(x.index_put_({0}, at::ones({5}))),
      // checks and their texts
      FAIL(TORCH_CHECK(x.dim() > 9, "dim is ", x.dim(), ", not ", 9.5, ' ', true)), FAIL(TORCH_CHECK(x.dim() > 9)), FAIL(TORCH_CHECK_VALUE(false, "value ", 1)), FAIL(TORCH_CHECK_INDEX(false, "index ", 2)),
      FAIL(TORCH_CHECK_TYPE(false, "type ", 3)), FAIL(TORCH_CHECK_NOT_IMPLEMENTED(false, "not implemented ", 4)), FAIL(AT_ERROR("error ", 5)), FAIL(TORCH_CHECK_ARG(false, 3, "wrong")), FAIL(TORCH_CHECK(true, "no")),
      FAIL(TORCH_CHECK_LINALG(false, "singular ", 6)), FAIL(throw std::runtime_error("runtime")), FAIL(throw std::invalid_argument("argument")), FAIL(throw std::out_of_range("range")), FAIL(throw std::overflow_error("over")), FAIL(throw 3),
      FAIL(try { TORCH_CHECK_INDEX(false, "kept"); } catch (const c10::Error& e) { return c10::str("caught ", e.what_without_backtrace(), " ", e.msg()); }),
      FAIL(try { x.view({7, 7}); } catch (const c10::Error& e) { return c10::str("caught ", e.what_without_backtrace()); }), FAIL(try { x.select(9, 0); } catch (const c10::IndexError& e) { return "an index error"; }),
      FAIL(try { TORCH_CHECK_VALUE(false, "kept"); } catch (const std::exception& e) { return "a std::exception"; }),
      // (a is `x`, at position 1; b is `y`, only by name)
      CHECK(at::checkDim("caller", a, 7)), CHECK(at::checkSameSize("caller", a, at::TensorArg(z, "z", 3))), CHECK(at::checkSize("caller", b, {9, 9})), CHECK(at::checkSize("caller", a, 0, 9)),
      CHECK(at::checkContiguous("caller", a)), CHECK(at::checkAllContiguous("caller", {a, b})), CHECK(at::checkAllSameGPU("caller", {a, b})), CHECK(at::checkAllSameType("caller", {a, b})),
      CHECK(at::checkScalarType("caller", a, at::kShort)), CHECK(at::checkScalarTypes("caller", a, {at::kShort, at::kChar})), CHECK(at::checkDefined("caller", at::TensorArg(u, "u", 1))), CHECK(at::checkNumel("caller", a, 99)),
      CHECK(at::checkDimRange("caller", a, 3, 5)), CHECK(at::checkSameNumel("caller", a, at::TensorArg(z, "z", 2))), CHECK(at::checkSameDim("caller", a, at::TensorArg(z, "z", 2))), CHECK(at::checkDeviceType("caller", x, at::kCUDA)), CHECK(at::checkLayout("caller", x, at::kSparse)),
      CHECK(at::checkAllSameNumel("caller", {a, b})), CHECK(at::checkAllDefined("caller", {a, at::TensorArg(u, "u", 2)})), CHECK(at::checkSameGPU("caller", a, b)),
      // errors of torch
      FAIL(x.view({7, 7})), FAIL(x.select(9, 0)), FAIL(x.to(at::kFloat).matmul(at::ones({9, 9}))), FAIL(at::cat({x, at::ones({7, 7, 7})}, 0)), FAIL(x.expand({5, 5})), FAIL(x.cuda()), FAIL(at::zeros({-1})), FAIL(at::arange(3, 1, 1)), FAIL(x.transpose(0, 9)),
      FAIL(x.index_select(0, at::tensor({99}, at::kLong))), FAIL(at::linalg_cholesky(-at::eye(2))), FAIL(at::zeros({2}, at::device(at::kCUDA))), FAIL(x.sum(5)), FAIL(at::empty({2}, at::requires_grad())), FAIL(x.reshape({-1, -1})), FAIL(x.squeeze(9)), FAIL(at::stack({})),
      // dispatch
      TEXT(([&] { return AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "floating", [&] { return sizeof(scalar_t); }); }())),
      TEXT(([&] { return AT_DISPATCH_FLOATING_TYPES_AND_HALF(x.scalar_type(), "half", [&] { return sizeof(scalar_t); }); }())),
      TEXT(([&] { return AT_DISPATCH_ALL_TYPES(x.scalar_type(), "all", [&] { return sizeof(scalar_t); }); }())),
      TEXT(([&] { return AT_DISPATCH_INTEGRAL_TYPES(x.scalar_type(), "integral", [&] { return sizeof(scalar_t); }); }())),
      TEXT(([&] { return AT_DISPATCH_INDEX_TYPES(x.scalar_type(), "index", [&] { return sizeof(index_t); }); }())),
      TEXT(([&] { return AT_DISPATCH_FLOATING_AND_COMPLEX_TYPES(x.scalar_type(), "complex", [&] { return sizeof(scalar_t); }); }())),
      TEXT(([&] { return AT_DISPATCH_ALL_TYPES_AND2(at::kHalf, at::kBool, x.scalar_type(), "and2", [&] { return sizeof(scalar_t); }); }())),
      TEXT(([&] { return AT_DISPATCH_ALL_TYPES_AND_COMPLEX_AND3(at::kHalf, at::kBool, at::kBFloat16, x.scalar_type(), "and3", [&] { return sizeof(scalar_t); }); }())),
      TEXT(([&] { return AT_DISPATCH_SWITCH(x.scalar_type(), "switch", AT_DISPATCH_CASE(at::kLong, [&] { return 1; }) AT_DISPATCH_CASE_FLOATING_TYPES([&] { return 2; })); }())),
      TEXT(([&] { return AT_DISPATCH_REDUCED_FLOATING_TYPES(x.scalar_type(), "reduced", [&] { return sizeof(scalar_t); }); }())),
      // threads and state
      TEXT(([&] { std::atomic<int64_t> n{0}; at::parallel_for(0, 1000, 10, [&](int64_t a, int64_t b) { n += b - a; }); return n.load(); }())),
      TEXT(at::parallel_reduce(0, 1000, 10, int64_t{0}, [](int64_t a, int64_t b, int64_t s) { for (; a < b; ++a) s += a; return s; }, [](int64_t a, int64_t b) { return a + b; })),
      FAIL(at::parallel_for(0, 1000, 10, [](int64_t, int64_t) { TORCH_CHECK_VALUE(false, "in a thread"); })), TEXT(at::get_num_threads() > 0, at::get_thread_num()),
      TEXT(at::globalContext().deterministicAlgorithms(), at::globalContext().userEnabledCuDNN(), at::globalContext().benchmarkCuDNN(), at::globalContext().allowTF32CuDNN()), FAIL(at::globalContext().alertNotDeterministic("kernel")),
      TEXT(at::ceil_div(7, 2), at::divup(7, 3)), TEXT(at::autocast::is_autocast_enabled(at::kCPU)),
      // tensors as text
      TEXT(x), TEXT(x.view(-1)), TEXT(Tensor()), TEXT(at::ones({2, 2, 2})), TEXT(at::tensor({1.5, -2.25, 1e9})), TEXT(at::tensor({std::nan(""), 1.0, double(INFINITY)})), TEXT(at::scalar_tensor(3)), TEXT(at::zeros({0})), TEXT(at::arange(3)),
      TEXT(at::arange(60).view({2, 30})), TEXT(at::arange(60, at::kFloat).view({2, 30}) * 1.5), TEXT(at::tensor({1234567.5, 3.25})), TEXT(at::tensor({0.00012, 0.0002})), TEXT(at::tensor({1e-9, 1e9})), TEXT(at::full({2, 1, 2, 2}, 123456.5)), TEXT(at::tensor({12345678901, int64_t{2}})), TEXT(at::ones({2, 0, 3})), TEXT(x > 2),
  };
}

Tensors tensors() {
  return {
      // operators
      TENSOR(x + y, x - y, x * y), TENSOR(x / y), TENSOR(x % y), TENSOR(-x), TENSOR(~x), TENSOR(x & y, x | y), TENSOR(x ^ y), TENSOR(x == y, x != y), TENSOR(x < y, x <= y, x > y, x >= y),
      TENSOR(x + 1, x - 1, x * 2), TENSOR(x + 1.5, x * 2.5, x / 2), TENSOR(1 + x, 2 - x, 3 * x), TENSOR(2.5 - x), TENSOR(1.0 / x), TENSOR(7 / x), TENSOR(7 % x), TENSOR(x % 2), TENSOR(x == 1, 1 == x, x != 0, 2 < x, 2.0 >= x),
      TENSOR(x & 1, 3 | x, x ^ 2), TENSOR(x + at::Half(1.5), x * at::BFloat16(2.5)), TENSOR(x + true, x * at::Scalar(3)), TENSOR(x + c10::complex<double>(1, 2)),
      TENSOR(x.add(y, 2), x.sub(y, 0.5)), TENSOR(x.mul(y).add_(1)), TENSOR(at::add(x, y, 3), torch::mul(x, 2)), TENSOR(at::pow(x, 2), at::pow(2, x)), TENSOR(at::where(x > 1, x, y)),
      CHANGE(x += y), CHANGE(x -= 1), CHANGE(x *= 2.5), CHANGE(x /= y), CHANGE(x &= y), CHANGE(x |= y), CHANGE(x ^= y), CHANGE(x = x + y), CHANGE(Tensor z = x; x = y; x = z), CHANGE(x.fill_(3)), CHANGE(x.zero_()), CHANGE(x.copy_(y)),
      CHANGE(x.add_(y).mul_(2)), CHANGE(auto& z = x.add_(1); TORCH_CHECK(z.is_same(x))), CHANGE(x.clamp_(0, 2)), CHANGE(x.set_requires_grad(x.is_floating_point())), CHANGE(x.requires_grad_(x.is_floating_point())), CHANGE(x.detach_()),
      // indices
      TENSOR(x[0], x[-1]), TENSOR(x[0][1]), TENSOR(x[at::tensor(1)]), TENSOR(x[at::Scalar(1)]), TENSOR(x.index({0})), TENSOR(x.index({0, 1})), TENSOR(x.index({Slice()})), TENSOR(x.index({Slice(1)})), TENSOR(x.index({Slice(None, 1)})),
      TENSOR(x.index({Slice(), 1})), TENSOR(x.index({Slice(), Slice(1)})), TENSOR(x.index({Slice(None, None, 2), Slice(0, 2)})), TENSOR(x.index({Slice(-1, None), Slice(-2, -1)})), TENSOR(x.index({"..."})), TENSOR(x.index({Ellipsis, 0})), TENSOR(x.index({0, "..."})),
      TENSOR(x.index({None})), TENSOR(x.index({None, Ellipsis, None})), TENSOR(x.index({Slice(), None, Slice(1, 2)})), TENSOR(x.index({true})), TENSOR(x.index({false})), TENSOR(x.index({true, 0})), TENSOR(x.index({Slice(), false})),
      TENSOR(x.index({at::tensor({0, 1, 0}, at::kLong)})), TENSOR(x.index({at::tensor({1, 0}, at::kInt), at::tensor({0, 1}, at::kLong)})), TENSOR(x.index({Slice(), at::tensor({2, 0}, at::kLong)})), TENSOR(x.index({at::tensor(1, at::kLong), Slice(1)})),
      TENSOR(x.index({x > 1})), TENSOR(x.index({x.sum(1) > 3})), TENSOR(x.index({Slice(), x.sum(0) > 3})), TENSOR(x.index({at::scalar_tensor(true, at::kBool)})), TENSOR(x.index({None, at::tensor({0, 1}, at::kLong), Slice(0, 1)})), TENSOR(x.index({at::tensor({0, 1, 1, 0}, at::kLong).view({2, 2})})),
      TENSOR(x.index({Ellipsis, at::tensor({0}, at::kLong), 0})), TENSOR(x.index(std::vector<at::indexing::TensorIndex>{0, Slice(1)})), TENSOR(x.index({x.to(at::kByte)})),
      CHANGE(x[0] = y[1]), CHANGE(x[0] = 5), CHANGE(x[0][1] = 2.5), CHANGE(x.index_put_({0}, 7)), CHANGE(x.index_put_({0, 1}, y[1][0])), CHANGE(x.index_put_({Slice(), 1}, 9)), CHANGE(x.index_put_({Slice(1)}, y.index({Slice(0, 1)}))), CHANGE(x.index_put_({Ellipsis}, y)),
      CHANGE(x.index_put_({"..."}, 4)), CHANGE(x.index_put_({None}, y)), CHANGE(x.index_put_({true}, y)), CHANGE(x.index_put_({false}, y)), CHANGE(x.index_put_({x > 1}, 0)), CHANGE(x.index_put_({x > 1}, at::zeros({1}, x.options()))), CHANGE(x.index_put_({at::tensor({1, 0}, at::kLong)}, y)),
      CHANGE(x.index_put_({at::tensor({1, 0}, at::kLong), at::tensor({0, 2}, at::kLong)}, y[0].slice(0, 0, 2))), CHANGE(x.index_put_({Slice(), at::tensor({1}, at::kLong)}, y.slice(1, 0, 1))), CHANGE(x.index_put_({0}, at::ones({1, 1, 3}, x.options()))), CHANGE(x.index({Slice(), 1}) = 8), CHANGE(x.index({0}) = y[1]),
      CHANGE(x.index_put_({at::tensor({0, 0}, at::kLong)}, y, true)), CHANGE(x.select(1, 0) += 1), CHANGE(x.slice(1, 1) *= 2),
      // views
      TENSOR(x.view(-1), x.view({3, 2}), x.reshape({6})), TENSOR(x.t(), x.transpose(0, 1)), TENSOR(x.permute({1, 0})), TENSOR(x.unsqueeze(0), x.unsqueeze(-1), x.squeeze()), TENSOR(x.expand({2, 2, 3})), TENSOR(x.narrow(1, 1, 2)), TENSOR(x.select(0, 1)), TENSOR(x.slice(1, 0, 3, 2)), TENSOR(x.flatten()), TENSOR(x.diagonal()),
      TENSOR(x.contiguous(), x.clone(), x.detach(), x.alias()), TENSOR(x.contiguous(at::MemoryFormat::Contiguous)), TENSOR(x.data(), x.variable_data()), TENSOR(x.as_strided({2, 2}, {1, 1})), TENSOR(x.view_as(y), x.expand_as(y)), TENSOR(x.unfold(1, 2, 1)), TENSOR(x.flip({0, 1}), x.roll(1, 0)),
      // types and places
      TENSOR(x.to(at::kDouble), x.to(at::kInt)), TENSOR(x.to(y.dtype())), TENSOR(x.to(y)), TENSOR(x.to(at::Device("cpu")), x.to(at::kCPU)), TENSOR(x.to(at::Device(at::kCPU), at::kFloat)), TENSOR(x.to(torch::dtype(at::kHalf).device(at::kCPU))), TENSOR(x.to(at::kFloat, false, true)), TENSOR(x.toType(at::kLong)), TENSOR(x.cpu()), TENSOR(x.type_as(y)),
      TENSOR(x.to(at::kMeta)), TENSOR(x.to(at::kBFloat16), x.to(at::kFloat8_e4m3fn).to(at::kFloat), x.to(at::kUInt16).to(at::kLong)), TENSOR(x.to(x.options().dtype(at::kDouble))), TENSOR(x.toType(at::kBool)), TENSOR(x.to(at::kComplexFloat)),
      // tensors that are made
      TENSOR(at::zeros({2, 3}), at::ones({2}, at::kInt), torch::full({2}, 3.5), torch::full({2}, 3)), TENSOR(torch::zeros({2}, x.options()), torch::ones({1, 1}, x.dtype())), TENSOR(torch::zeros_like(x), torch::ones_like(x, at::kDouble), at::full_like(x, 2)), TENSOR(torch::empty({0, 3}), at::empty_strided({2, 2}, {1, 2}).zero_()),
      TENSOR(at::empty({2, 3}, x.options()), x.new_empty({2}), at::empty_like(x)), TENSOR(at::empty({2, 3}, x.options()).fill_(1), at::zeros({2}, x.options()), at::zeros({0}, at::kLong), torch::empty({2}, at::TensorOptions(at::kInt).device(at::kCPU)).zero_()),
      TENSOR(torch::empty_like(x).fill_(1), at::empty_like(x, x.options().dtype(at::kLong)).zero_()), TENSOR(x.new_zeros({2, 2}), x.new_ones({2}, at::kFloat), x.new_full({2}, 4)), TENSOR(torch::arange(5), torch::arange(1, 4), torch::arange(0, 1, 0.25), at::arange(3, at::kInt)), TENSOR(torch::linspace(0, 1, 5), torch::eye(3)),
      TENSOR(torch::tensor(3), torch::tensor(2.5), torch::tensor(true), torch::tensor({1, 2, 3}), torch::tensor({1.5, 2.5})), TENSOR(torch::tensor({{1, 2}, {3, 4}}), torch::tensor({1, 2}, torch::kFloat), torch::tensor(std::vector<double>{1, 2})), TENSOR(torch::tensor({1.0}, torch::requires_grad())), TENSOR(torch::tensor({true, false})),
      TENSOR(at::tensor({1, 2}), at::tensor({1.5, 2.5}), at::tensor({1, 2}, at::kDouble), at::tensor(std::vector<int64_t>{1, 2})), TENSOR(torch::tensor({{1, 2}, {3}})), TENSOR(torch::tensor(std::vector<int>{1, 2}), torch::tensor(at::IntArrayRef({4, 5}))), TENSOR(at::scalar_tensor(2), at::scalar_tensor(2, at::kLong)),
      TENSOR(torch::zeros({2}, torch::requires_grad()), torch::ones({2}, torch::dtype(torch::kDouble).requires_grad(true))), TENSOR(([] { static float v[] = {1, 2, 3, 4}; return torch::from_blob(v, {2, 2}); }())), TENSOR(([] { static int v[] = {1, 2, 3, 4}; return torch::from_blob(v, {2, 2}, {1, 2}, at::kInt); }())),
      TENSOR(([] { static int n = 0; const double v[] = {1, 2}; auto* held = new double[2]{v[0], v[1]}; auto t = torch::from_blob(held, {2}, [](void* p) { delete[] static_cast<double*>(p); ++n; }, at::kDouble).clone(); return t + n; }())),
      // functions
      TENSOR(x.sum(), x.sum(0), x.sum({0, 1}), x.sum(1, true)), TENSOR(x.mean()), TENSOR(x.max(), x.min(), std::get<0>(x.max(0)), std::get<1>(x.sort(1))), TENSOR(x.argmax(), x.argmax(1)), TENSOR(x.any(), x.all(), x.nonzero()), TENSOR(at::cat({x, y}), at::cat({x, y}, 1), at::stack({x, y})), TENSOR(torch::cat(std::vector<Tensor>{x, x})),
      TENSOR(x.matmul(y.t()), at::mm(x, y.t())), TENSOR(x.exp(), x.log(), x.sqrt(), x.abs()), TENSOR(x.softmax(1)), TENSOR(x.cumsum(0)), TENSOR(x.gather(1, at::zeros({2, 1}, at::kLong))), TENSOR(x.scatter_add(1, at::zeros({2, 1}, at::kLong), y)), TENSOR(x.index_select(1, at::tensor({2, 0}, at::kLong))), TENSOR(x.masked_fill(x > 1, 0), x.masked_select(x > 1)),
      TENSOR(x.clamp(1, 2), x.clamp_min(1), at::clamp_max(x, 2)), TENSOR(x.split(2, 1).at(1), x.chunk(2, 1).at(0), at::unbind(x).at(1)), TENSOR(at::relu(x), at::sigmoid(x), at::tanh(x)), TENSOR(at::bincount(x.view(-1))), TENSOR(std::get<0>(at::unique_dim(x, 0))), TENSOR(x.repeat({2, 1}), x.tile({1, 2})), TENSOR(x.norm(), x.pow(2).sum().sqrt()),
      TENSOR(torch::nn::functional::pad(x, torch::nn::functional::PadFuncOptions({1, 1}).value(2)), at::constant_pad_nd(x, {1, 0}, 3)), TENSOR(torch::nn::functional::softmax(x, torch::nn::functional::SoftmaxFuncOptions(1))), TENSOR(torch::nn::functional::one_hot(x)), TENSOR(at::conj(x).resolve_conj(), at::real(x)),
      TENSOR(at::add_out(y, x, x)), CHANGE(at::mul_out(x, x, y)), TENSOR(Tensor(), x), TENSOR(x.mul(x).detach() + x * x), TENSOR(([&] { at::NoGradGuard guard; return x * 2; }()), x * 3), TENSOR(torch::addmm(at::ones({2, 2}, x.options()), x, y.t(), 2, 0.5)), TENSOR(x.numel() > 100 ? y : x),
      TENSOR(([&] { auto r = torch::empty_like(x); AT_DISPATCH_ALL_TYPES(x.scalar_type(), "twice", [&] { const auto c = x.contiguous(); const auto* p = c.const_data_ptr<scalar_t>(); auto* q = r.mutable_data_ptr<scalar_t>(); for (int64_t i = 0; i < x.numel(); ++i) q[i] = p[i] + p[i]; }); return r; }())),
  };
}

template <class Table>
std::vector<std::string> names(const Table& table) {
  std::vector<std::string> r;
  for (const auto& entry : table) r.push_back(entry.first);
  return r;
}
const Texts& all_texts() { static const Texts t = texts(); return t; }
const Tensors& all_tensors() { static const Tensors t = tensors(); return t; }

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("text_names", [] { return names(all_texts()); });
  m.def("tensor_names", [] { return names(all_tensors()); });
  m.def("text", [](const std::string& name, Tensor x, Tensor y) { return all_texts().at(name)(x, y); });
  m.def("tensors", [](const std::string& name, Tensor x, Tensor y) { return all_tensors().at(name)(x, y); });
}
