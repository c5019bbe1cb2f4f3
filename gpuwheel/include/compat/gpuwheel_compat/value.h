// A value of Python on its way through the dispatcher as text: what has no type in a schema (dict, set, variant, dtype).
//
// All such arguments of a call travel together, as one JSON list and one list of the tensors in it. What JSON lacks is an
// object with one key that says what it is: {"t": 3} the fourth tensor, {"u": [...]} a tuple, {"s": [...]} a set,
// {"d": [[k, v], ...]} a dict, {"b": "..."} bytes as Latin-1, {"c": [re, im]} a complex number, {"k": "half"} a dtype,
// {"p": "cuda:0"} a device, {"l": "strided"} a layout, {"m": "channels_last"} a memory format.
// The Python side has the same table (`launcher/compat_values.py`).
#pragma once
#include <gpuwheel_compat/boxed.h>

namespace gpuwheel_compat::bridge {
struct Value;
using ValuePtr = std::shared_ptr<Value>;

struct Value {
  enum class Kind { none, boolean, integer, real, text, bytes, list, tuple, set, dict, tensor, complex, dtype, device, layout, memory_format };
  Kind kind = Kind::none;
  bool negative = false;  // of an integer, whose magnitude is `magnitude`: all of int64_t and uint64_t fits
  uint64_t magnitude = 0;
  double real = 0, imaginary = 0;
  std::string text;             // also of bytes, dtypes, devices
  std::vector<ValuePtr> items;  // of a dict: keys and values by turns
  Tensor tensor;
  bool given = false;  // is a copy of a container of Python's: writing to it would be lost

  static ValuePtr make(Kind kind) {
    auto value = std::make_shared<Value>();
    value->kind = kind;
    return value;
  }
  static ValuePtr of_text(std::string text, Kind kind = Kind::text) {
    auto value = make(kind);
    value->text = std::move(text);
    return value;
  }
  static ValuePtr of_int(int64_t number) {
    auto value = make(Kind::integer);
    value->negative = number < 0;
    value->magnitude = number < 0 ? ~static_cast<uint64_t>(number) + 1 : static_cast<uint64_t>(number);
    return value;
  }
  static ValuePtr of_uint(uint64_t number) {
    auto value = make(Kind::integer);
    value->magnitude = number;
    return value;
  }
  static ValuePtr of_real(double number) {
    auto value = make(Kind::real);
    value->real = number;
    return value;
  }
  static ValuePtr of_bool(bool truth) {
    auto value = make(Kind::boolean);
    value->magnitude = truth;
    return value;
  }
  static ValuePtr of_tensor(const Tensor& tensor) {
    if (!tensor.defined()) return make(Kind::none);
    auto value = make(Kind::tensor);
    value->tensor = tensor;
    return value;
  }
};

// The words of Python's side for what is an enumeration here; a table, as each is asked for in both directions.
struct Named {
  int value;
  const char* name;
};
inline constexpr Named layout_names[] = {{static_cast<int>(Layout::Strided), "strided"}, {static_cast<int>(Layout::Sparse), "sparse_coo"},
    {static_cast<int>(Layout::SparseCsr), "sparse_csr"}, {static_cast<int>(Layout::SparseCsc), "sparse_csc"},
    {static_cast<int>(Layout::SparseBsr), "sparse_bsr"}, {static_cast<int>(Layout::SparseBsc), "sparse_bsc"},
    {static_cast<int>(Layout::Mkldnn), "_mkldnn"}, {static_cast<int>(Layout::Jagged), "jagged"}};
inline constexpr Named memory_format_names[] = {{static_cast<int>(MemoryFormat::Contiguous), "contiguous_format"},
    {static_cast<int>(MemoryFormat::Preserve), "preserve_format"}, {static_cast<int>(MemoryFormat::ChannelsLast), "channels_last"},
    {static_cast<int>(MemoryFormat::ChannelsLast3d), "channels_last_3d"}};
inline constexpr Named dtype_names[] = {{static_cast<int>(ScalarType::Byte), "uint8"}, {static_cast<int>(ScalarType::Char), "int8"},
    {static_cast<int>(ScalarType::Short), "int16"}, {static_cast<int>(ScalarType::Int), "int32"}, {static_cast<int>(ScalarType::Long), "int64"},
    {static_cast<int>(ScalarType::Half), "float16"}, {static_cast<int>(ScalarType::Float), "float32"}, {static_cast<int>(ScalarType::Double), "float64"},
    {static_cast<int>(ScalarType::ComplexHalf), "complex32"}, {static_cast<int>(ScalarType::ComplexFloat), "complex64"},
    {static_cast<int>(ScalarType::ComplexDouble), "complex128"}, {static_cast<int>(ScalarType::Bool), "bool"},
    {static_cast<int>(ScalarType::QInt8), "qint8"}, {static_cast<int>(ScalarType::QUInt8), "quint8"}, {static_cast<int>(ScalarType::QInt32), "qint32"},
    {static_cast<int>(ScalarType::BFloat16), "bfloat16"}, {static_cast<int>(ScalarType::Float8_e5m2), "float8_e5m2"},
    {static_cast<int>(ScalarType::Float8_e4m3fn), "float8_e4m3fn"}, {static_cast<int>(ScalarType::Float8_e5m2fnuz), "float8_e5m2fnuz"},
    {static_cast<int>(ScalarType::Float8_e4m3fnuz), "float8_e4m3fnuz"}, {static_cast<int>(ScalarType::UInt16), "uint16"},
    {static_cast<int>(ScalarType::UInt32), "uint32"}, {static_cast<int>(ScalarType::UInt64), "uint64"}};

template <size_t N>
std::string word_of(const Named (&table)[N], int value, const char* what) {
  for (const auto& each : table)
    if (each.value == value) return each.name;
  throw Error(str(what, " ", value, " has no name in Python"));
}
template <size_t N>
int value_of(const Named (&table)[N], const std::string& word, const char* what) {
  for (const auto& each : table)
    if (word == each.name) return each.value;
  throw TypeError(str(what, " ", word, " has no counterpart in C++"));
}

// Writes values as JSON, and puts their tensors aside.
class Writer {
 public:
  std::string text;
  std::vector<Tensor> tensors;

  static std::string quoted(const std::string& from, bool latin = false) {
    static const char* hex = "0123456789abcdef";
    std::string to = "\"";
    for (char c : from) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') (to += '\\') += c;
      else if (byte < 32 || (latin && byte > 126)) ((to += "\\u00") += hex[byte >> 4]) += hex[byte & 15];
      else to += c;
    }
    return to + '"';
  }
  static std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    char digits[40];
    std::snprintf(digits, sizeof digits, "%.17g", value);
    std::string written = digits;
    std::replace(written.begin(), written.end(), ',', '.');  // a locale of the process
    return written.find_first_of(".en") == std::string::npos ? written + ".0" : written;
  }
  void write(const Value& value) {
    using K = Value::Kind;
    switch (value.kind) {
      case K::none: text += "null"; return;
      case K::boolean: text += value.magnitude ? "true" : "false"; return;
      case K::integer: text += (value.negative ? "-" : "") + std::to_string(value.magnitude); return;
      case K::real: text += number(value.real); return;
      case K::text: text += quoted(value.text); return;
      case K::list: list(value.items, 0, value.items.size()); return;
      case K::bytes: text += "{\"b\":" + quoted(value.text, true) + "}"; return;
      case K::complex: text += "{\"c\":[" + number(value.real) + "," + number(value.imaginary) + "]}"; return;
      case K::dtype: text += "{\"k\":" + quoted(value.text) + "}"; return;
      case K::device: text += "{\"p\":" + quoted(value.text) + "}"; return;
      case K::layout: text += "{\"l\":" + quoted(value.text) + "}"; return;
      case K::memory_format: text += "{\"m\":" + quoted(value.text) + "}"; return;
      case K::tensor:
        text += "{\"t\":" + std::to_string(tensors.size()) + "}";
        tensors.push_back(value.tensor);
        return;
      case K::tuple: text += "{\"u\":"; list(value.items, 0, value.items.size()); text += "}"; return;
      case K::set: text += "{\"s\":"; list(value.items, 0, value.items.size()); text += "}"; return;
      case K::dict:
        text += "{\"d\":[";
        for (size_t at = 0; at < value.items.size(); at += 2) {
          if (at) text += ",";
          list(value.items, at, at + 2);
        }
        text += "]}";
        return;
    }
  }

 private:
  void list(const std::vector<ValuePtr>& items, size_t from, size_t to) {
    text += "[";
    for (size_t at = from; at < to; ++at) {
      if (at > from) text += ",";
      write(*items[at]);
    }
    text += "]";
  }
};

// Reads what Python's side wrote. That is our own writer, so that anything else is a fault of ours and ends in one error.
class Reader {
  const char* at_;
  const char* end_;
  const std::vector<Tensor>& tensors_;
  int depth_ = 0;

 public:
  Reader(const std::string& text, const std::vector<Tensor>& tensors)
      : at_(text.data()), end_(text.data() + text.size()), tensors_(tensors) {}

  ValuePtr read() {
    if (++depth_ > 200) throw ValueError("a value is nested more than 200 levels deep");
    auto value = any();
    --depth_;
    return value;
  }

 private:
  [[noreturn]] static void broken() { throw Error("gpuwheel: an argument was not packed as it should be"); }
  char peek() const {
    if (at_ >= end_) broken();
    return *at_;
  }
  void expect(char c) {
    if (peek() != c) broken();
    ++at_;
  }
  bool word(const char* known) {
    const size_t n = std::strlen(known);
    if (static_cast<size_t>(end_ - at_) < n || std::memcmp(at_, known, n) != 0) return false;
    at_ += n;
    return true;
  }
  ValuePtr any() {
    switch (peek()) {
      case '"': return Value::of_text(string(false));
      case '[': return list(Value::Kind::list);
      case '{': return tagged();
      case 'n': if (word("null")) return Value::make(Value::Kind::none); broken();
      case 't': if (word("true")) return Value::of_bool(true); broken();
      case 'f': if (word("false")) return Value::of_bool(false); broken();
      default: return number();
    }
  }
  ValuePtr number() {
    if (word("NaN")) return Value::of_real(std::numeric_limits<double>::quiet_NaN());
    if (word("Infinity")) return Value::of_real(std::numeric_limits<double>::infinity());
    if (word("-Infinity")) return Value::of_real(-std::numeric_limits<double>::infinity());
    const char* begin = at_;
    while (at_ < end_ && std::strchr("+-.0123456789eE", *at_)) ++at_;
    const std::string digits(begin, at_);
    if (digits.empty()) broken();
    if (digits.find_first_of(".eE") != std::string::npos) return Value::of_real(real(digits));
    auto value = Value::make(Value::Kind::integer);
    value->negative = digits[0] == '-';
    const std::string magnitude = digits.substr(value->negative);
    if (magnitude.empty()) broken();
    for (char c : magnitude) {
      if (c < '0' || c > '9') broken();
      const auto digit = static_cast<uint64_t>(c - '0');
      if (value->magnitude > (std::numeric_limits<uint64_t>::max() - digit) / 10) throw std::overflow_error("int too large to convert");
      value->magnitude = value->magnitude * 10 + digit;
    }
    return value;
  }
  static double real(const std::string& digits) {
    std::istringstream in(digits);  // a stream with the classic locale, whatever that of the process
    in.imbue(std::locale::classic());
    double value = 0;
    in >> value;
    return value;
  }
  unsigned hex4() {
    if (end_ - at_ < 4) broken();
    const auto code = static_cast<unsigned>(std::stoul(std::string(at_, at_ + 4), nullptr, 16));
    at_ += 4;
    return code;
  }
  // Python's side writes ASCII alone; what is not there comes as \uXXXX, beyond 16 bits as two of them.
  std::string string(bool latin) {
    expect('"');
    std::string to;
    while (peek() != '"') {
      char c = *at_++;
      if (c == '\\') {
        c = peek();
        ++at_;
        if (c == 'u') {
          unsigned code = hex4();
          if (code >= 0xD800 && code < 0xDC00 && word("\\u")) code = 0x10000 + ((code - 0xD800) << 10) + (hex4() - 0xDC00);
          if (latin) to += static_cast<char>(code);
          else utf8(to, code);
          continue;
        }
        const char* from = "nrtbf";
        if (const char* found = std::strchr(from, c)) c = "\n\r\t\b\f"[found - from];
      }
      to += c;
    }
    ++at_;
    return to;
  }
  static void utf8(std::string& to, unsigned code) {
    if (code < 0x80) { to += static_cast<char>(code); return; }
    if (code < 0x800) to += static_cast<char>(0xC0 | (code >> 6));
    else if (code < 0x10000) { to += static_cast<char>(0xE0 | (code >> 12)); to += static_cast<char>(0x80 | ((code >> 6) & 63)); }
    else {
      to += static_cast<char>(0xF0 | (code >> 18));
      to += static_cast<char>(0x80 | ((code >> 12) & 63));
      to += static_cast<char>(0x80 | ((code >> 6) & 63));
    }
    to += static_cast<char>(0x80 | (code & 63));
  }
  ValuePtr list(Value::Kind kind) {
    auto value = Value::make(kind);
    value->given = true;
    expect('[');
    while (peek() != ']') {
      if (*at_ == ',') ++at_;
      value->items.push_back(read());
    }
    ++at_;
    return value;
  }
  ValuePtr tagged() {
    expect('{');
    expect('"');
    const char tag = peek();
    ++at_;
    expect('"');
    expect(':');
    auto value = content(tag);
    expect('}');
    return value;
  }
  ValuePtr content(char tag) {
    using K = Value::Kind;
    switch (tag) {
      case 'b': return Value::of_text(string(true), K::bytes);
      case 'k': return Value::of_text(string(false), K::dtype);
      case 'p': return Value::of_text(string(false), K::device);
      case 'l': return Value::of_text(string(false), K::layout);
      case 'm': return Value::of_text(string(false), K::memory_format);
      case 'u': return list(K::tuple);
      case 's': return list(K::set);
      case 't': {
        const auto index = number();
        return Value::of_tensor(tensors_.at(index->magnitude));
      }
      case 'c': {
        const auto parts = list(K::list);
        auto value = Value::make(K::complex);
        value->real = parts->items.at(0)->real;
        value->imaginary = parts->items.at(1)->real;
        return value;
      }
      case 'd': {
        const auto pairs = list(K::list);
        auto value = Value::make(K::dict);
        value->given = true;
        for (const auto& pair : pairs->items) value->items.insert(value->items.end(), {pair->items.at(0), pair->items.at(1)});
        return value;
      }
      default: broken();
    }
  }
};
}  // namespace gpuwheel_compat::bridge
