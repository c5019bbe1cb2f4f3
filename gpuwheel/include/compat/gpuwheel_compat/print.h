// A tensor as text, as torch's C++ writes it: numbers in columns as wide as the widest, matrices one after the other.
#pragma once
#include <gpuwheel_compat/tensor_functions.h>

#include <iomanip>

namespace gpuwheel_compat {
namespace detail {
struct NumberFormat {
  double scale = 1;
  int width = 0;
};

// Sets how the stream writes numbers: whole ones without a point, those far apart with an exponent, else four digits,
// with one factor for all where they are large.
inline NumberFormat number_format(std::ostream& s, const double* values, int64_t n) {
  const auto digits = [](double v) { return v == 0 ? 1.0 : std::floor(std::log10(v)) + 1; };
  bool whole = true, any = false;
  double least = 1, most = 1;
  for (int64_t i = 0; i < n; ++i) {
    if (!std::isfinite(values[i])) continue;
    const double v = std::fabs(values[i]);
    whole = whole && values[i] == std::ceil(values[i]);
    least = any ? std::min(least, v) : v;
    most = any ? std::max(most, v) : v;
    any = true;
  }
  const double low = any ? digits(least) : 1, high = any ? digits(most) : 1;
  if (whole) {
    if (high > 9) return s << std::scientific << std::setprecision(4), NumberFormat{1, 11};
    return s << std::defaultfloat, NumberFormat{1, static_cast<int>(high) + 1};
  }
  if (high - low > 4) {
    s << std::scientific << std::setprecision(4);
    return {1, std::fabs(high) > 99 || std::fabs(low) > 99 ? 12 : 11};
  }
  s << std::fixed << std::setprecision(4);
  if (high > 5 || high < 0) return {std::pow(10, high - 1), 7};
  return {1, high == 0 ? 7 : static_cast<int>(high) + 6};
}

inline void print_scale(std::ostream& s, double scale) {
  const auto flags = s.flags();
  const auto precision = s.precision(6);
  s << std::defaultfloat << scale << " *" << std::endl;
  s.flags(flags);
  s.precision(precision);
}

inline void print_matrix(std::ostream& s, const double* values, int64_t rows, int64_t columns, int64_t line, int64_t indent) {
  const auto format = number_format(s, values, rows * columns);
  const auto pad = [&] { s << std::string(static_cast<size_t>(indent), ' '); };
  const int64_t per_line = (line - indent) / (format.width + 1);
  for (int64_t first = 0; first < columns; first += per_line) {
    const auto last = std::min(first + per_line, columns) - 1;
    if (per_line < columns) {
      if (first != 0) s << std::endl;
      s << "Columns " << first + 1 << " to " << last + 1;
      pad();
    }
    if (format.scale != 1) print_scale(s, format.scale), pad();
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t c = first; c <= last; ++c) {
        s << std::setw(format.width) << values[row * columns + c] / format.scale;
        if (c == last) {
          s << std::endl;
          if (row != rows - 1) format.scale != 1 ? void(s << " ") : void(), pad();
        } else {
          s << " ";
        }
      }
    }
  }
}

// All matrices of the last two dimensions, each under the indices of those before.
inline void print_matrices(std::ostream& s, const double* values, IntArrayRef sizes, int64_t line) {
  const auto outer = sizes.slice(0, sizes.size() - 2);
  const int64_t rows = sizes[sizes.size() - 2], columns = sizes.back();
  std::vector<int64_t> at(outer.size(), 0);
  for (bool started = false;; started = true) {
    if (started) s << '\n';
    s << '(';
    for (const auto i : at) s << i + 1 << ',';
    s << ".,.) = " << '\n';
    print_matrix(s, values, rows, columns, line, 1);
    values += rows * columns;
    // the first index runs fastest
    size_t d = 0;
    while (d < at.size() && ++at[d] == outer[d]) at[d++] = 0;
    if (d == at.size()) return;
  }
}
}  // namespace detail

inline std::ostream& print(std::ostream& s, const Tensor& t, int64_t line) {
  const auto flags = s.flags();
  const auto precision = s.precision();
  if (!t.defined()) return s << "[ Tensor (undefined) ]";
  TORCH_CHECK(t.layout() == Layout::Strided && !t.is_quantized(), "a tensor of this kind has no text in abi = \"compat\"");
  s << std::defaultfloat;
  const auto values = t.detach().to(kCPU, kDouble).contiguous();
  const auto* p = values.const_data_ptr<double>();
  if (t.dim() == 0) {
    s << p[0] << std::endl;
  } else if (t.numel() > 0 && t.dim() == 1) {
    const auto format = detail::number_format(s, p, t.numel());
    if (format.scale != 1) detail::print_scale(s, format.scale);
    for (int64_t i = 0; i < t.numel(); ++i) s << std::setw(format.width) << p[i] / format.scale << std::endl;
  } else if (t.numel() > 0 && t.dim() == 2) {
    detail::print_matrix(s, p, t.size(0), t.size(1), line, 0);
  } else if (t.numel() > 0) {
    detail::print_matrices(s, p, t.sizes(), line);
  }
  s << "[ " << t.toString() << "{";
  for (int64_t d = 0; d < t.dim(); ++d) s << (d ? "," : "") << t.size(d);
  s << "} ]";
  s.flags(flags);
  s.precision(precision);
  return s;
}
inline std::ostream& operator<<(std::ostream& s, const Tensor& t) { return print(s, t, 80); }
inline void print(const Tensor& t, int64_t line = 80) { print(std::cout, t, line); }
inline void Tensor::print() const {
  if (defined()) std::cerr << "[" << toString() << " " << sizes() << "]" << std::endl;
  else std::cerr << "[UndefinedTensor]" << std::endl;
}
}  // namespace gpuwheel_compat
