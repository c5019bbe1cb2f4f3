// LOG, VLOG, CHECK and their relatives of c10/util/Logging.h: lines on the standard error, in torch's form.
//
// torch's own level is a variable of its library and in no C ABI: each extension has a level of its own, which begins as
// torch's does, by TORCH_CPP_LOG_LEVEL.
#pragma once
#include <gpuwheel_compat/check.h>

#include <climits>
#include <cstdlib>
#include <ctime>
#include <iomanip>
#include <iostream>

namespace gpuwheel_compat {
inline constexpr int GLOG_FATAL = 3, GLOG_ERROR = 2, GLOG_WARNING = 1, GLOG_INFO = 0;

namespace detail {
inline int log_level_of_environment() {
  const char* said = std::getenv("TORCH_CPP_LOG_LEVEL");
  const std::string_view level = said ? said : "";
  constexpr std::string_view names[] = {"INFO", "WARNING", "ERROR", "FATAL"}, numbers[] = {"0", "1", "2", "3"};
  for (int at = GLOG_INFO; at <= GLOG_FATAL; ++at)
    if (level == names[at] || level == numbers[at]) return at;
  return GLOG_WARNING;
}
}  // namespace detail
inline int FLAGS_caffe2_log_level = detail::log_level_of_environment();

class MessageLogger {
  std::stringstream stream_;
  int severity_;
  bool exits_;

 public:
  MessageLogger(const char* file, int line, int severity, bool exits = true) : severity_(severity), exits_(exits) {
    if (severity < FLAGS_caffe2_log_level) return;
    timespec now{};
    timespec_get(&now, TIME_UTC);
    tm at{};
    localtime_r(&now.tv_sec, &at);
    const char* base = std::strrchr(file, '/');
    stream_ << '[' << "FEWIV"[std::min(4, GLOG_FATAL - severity)] << std::setfill('0') << std::setw(4) << (at.tm_mon + 1) * 100 + at.tm_mday
            << ' ' << std::setw(2) << at.tm_hour << ':' << std::setw(2) << at.tm_min << ':' << std::setw(2) << at.tm_sec << '.' << std::setw(9)
            << now.tv_nsec << ' ' << (base ? base + 1 : file) << ':' << line << "] " << std::setfill(' ');
  }
  MessageLogger(const MessageLogger&) = delete;
  MessageLogger& operator=(const MessageLogger&) = delete;
  ~MessageLogger() noexcept(false) {
    if (severity_ < FLAGS_caffe2_log_level) return;
    stream_ << '\n';
    std::cerr << stream_.str();
    if (severity_ > GLOG_INFO) std::cerr << std::flush;
    if (severity_ < GLOG_FATAL) return;
    if (exits_) std::abort();
    fail<Error>(stream_.str());
  }
  std::stringstream& stream() { return stream_; }
};
// Makes `condition ? (void)0 : LoggerVoidify() & stream << ...` one statement.
struct LoggerVoidify {
  void operator&(const std::ostream&) {}
};
}  // namespace gpuwheel_compat
using gpuwheel_compat::FLAGS_caffe2_log_level;

#ifndef CAFFE2_LOG_THRESHOLD
#define CAFFE2_LOG_THRESHOLD INT_MIN
#endif
#define GWC_LOG(severity, ...) ::gpuwheel_compat::MessageLogger(__FILE__, __LINE__, severity, ##__VA_ARGS__).stream()
#define LOG(n) \
  if (::gpuwheel_compat::GLOG_##n >= CAFFE2_LOG_THRESHOLD) GWC_LOG(::gpuwheel_compat::GLOG_##n)
#define LOG_IF(n, condition) \
  if (::gpuwheel_compat::GLOG_##n >= CAFFE2_LOG_THRESHOLD && (condition)) GWC_LOG(::gpuwheel_compat::GLOG_##n)
#define VLOG(n) \
  if (-n >= CAFFE2_LOG_THRESHOLD) GWC_LOG(-n)
#define VLOG_IF(n, condition) \
  if (-n >= CAFFE2_LOG_THRESHOLD && (condition)) GWC_LOG(-n)
#define VLOG_IS_ON(n) (CAFFE2_LOG_THRESHOLD <= -(n))
#define C10_LOG_EVERY_MS(severity, ms) LOG(severity)
#define C10_LOG_FIRST_N(severity, n) LOG(severity)
#define C10_LOG_EVERY_N(severity, n) LOG(severity)
#define FATAL_IF(condition) condition ? (void)0 : ::gpuwheel_compat::LoggerVoidify() & GWC_LOG(::gpuwheel_compat::GLOG_FATAL)
#define CHECK(condition) FATAL_IF(condition) << "Check failed: " #condition " "
#ifndef NDEBUG
#define DCHECK(condition) CHECK(condition)
#define DLOG(severity) LOG(severity)
#else
#define DCHECK(condition) \
  while (false) CHECK(condition)
#define DLOG(n) true ? (void)0 : ::gpuwheel_compat::LoggerVoidify() & GWC_LOG(::gpuwheel_compat::GLOG_##n)
#endif
// These throw, and say so on the standard error too, as torch's do.
#define TORCH_CHECK_OP(a, b, op)                                                                                                  \
  while (!((a)op(b)))                                                                                                             \
  GWC_LOG(::gpuwheel_compat::GLOG_FATAL, false) << "Check failed: " #a " " #op " " #b " (" << ::gpuwheel_compat::str(a) << " vs. " \
                                                << ::gpuwheel_compat::str(b) << "). "
#define TORCH_CHECK_EQ(a, b) TORCH_CHECK_OP(a, b, ==)
#define TORCH_CHECK_NE(a, b) TORCH_CHECK_OP(a, b, !=)
#define TORCH_CHECK_LE(a, b) TORCH_CHECK_OP(a, b, <=)
#define TORCH_CHECK_LT(a, b) TORCH_CHECK_OP(a, b, <)
#define TORCH_CHECK_GE(a, b) TORCH_CHECK_OP(a, b, >=)
#define TORCH_CHECK_GT(a, b) TORCH_CHECK_OP(a, b, >)
#ifndef NDEBUG
#define TORCH_DCHECK_OP(a, b, op) CHECK((a)op(b))
#else
#define TORCH_DCHECK_OP(a, b, op) \
  while (false) CHECK((a)op(b))
#endif
#define TORCH_DCHECK_EQ(a, b) TORCH_DCHECK_OP(a, b, ==)
#define TORCH_DCHECK_NE(a, b) TORCH_DCHECK_OP(a, b, !=)
#define TORCH_DCHECK_LE(a, b) TORCH_DCHECK_OP(a, b, <=)
#define TORCH_DCHECK_LT(a, b) TORCH_DCHECK_OP(a, b, <)
#define TORCH_DCHECK_GE(a, b) TORCH_DCHECK_OP(a, b, >=)
#define TORCH_DCHECK_GT(a, b) TORCH_DCHECK_OP(a, b, >)
