// An error that torch throws is caught here; one thrown here goes through torch.

#include <c10/core/Device.h>
#include <c10/util/Exception.h>

#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>

extern "C" __attribute__((visibility("default"))) int caught_from_torch() {
  try {
    (void)c10::Device(std::string("no such device"));
    return __LINE__;
  } catch (const c10::Error& error) {
    std::ostringstream said;
    said << error.what_without_backtrace();
    if (said.str().find("no such device") == std::string::npos) return __LINE__;
  }
  try {
    (void)c10::Device(std::string("neither"));
    return __LINE__;
  } catch (const std::exception& error) {
    if (std::string(error.what()).empty()) return __LINE__;
  }
  return 0;
}

extern "C" __attribute__((visibility("default"))) int uncaught_count() { return std::uncaught_exceptions(); }
