// What ordinary C++ asks of its libraries, widely: one function that uses it all and says what went wrong.

#include <dlfcn.h>
#include <sys/stat.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <future>
#include <iomanip>
#include <iostream>
#include <locale>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <random>
#include <regex>
#include <shared_mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

#define CHECK(condition) \
  if (!(condition)) return __LINE__

// Runs while the library is loaded: the streams of the C++ library must be there by then.
static const bool written = static_cast<bool>(std::clog << std::flush);

static thread_local std::string of_thread = "thread";

// 0, or the number of the line that failed.
extern "C" __attribute__((visibility("default"))) int wide() {
  CHECK(written);

  std::mutex mutex;
  std::condition_variable condition;
  std::unique_lock lock(mutex);
  const auto before = std::chrono::steady_clock::now();
  CHECK(!condition.wait_for(lock, 20ms, [] { return false; }));
  const auto waited = std::chrono::steady_clock::now() - before;
  CHECK(waited >= 20ms && waited < 10s);
  std::timed_mutex timed;
  CHECK(timed.try_lock_for(1ms));
  CHECK(!std::async(std::launch::async, [&] { return timed.try_lock_for(5ms); }).get());
  std::shared_timed_mutex shared;
  CHECK(shared.try_lock_shared_for(1ms));
  CHECK(!std::async(std::launch::async, [&] { return shared.try_lock_for(5ms); }).get());

  std::atomic<int> count{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { count += static_cast<int>(of_thread.size()); });
  for (std::thread& thread : threads) thread.join();
  CHECK(count == 24);
  static std::once_flag once;
  std::call_once(once, [&] { ++count; });
  CHECK(count == 25);

  char digits[64];
  const auto end = std::to_chars(digits, digits + 64, 3.25);
  double value = 0;
  CHECK(std::from_chars(digits, end.ptr, value).ec == std::errc() && value == 3.25);
  const float half = std::nextafter(0.5f, 1.0f);
  CHECK(std::pow(half, 2.0f) < std::exp(half) && std::log(value) > std::hypot(half, half));

  std::random_device random;
  std::uniform_int_distribution<int> dice(1, 6);
  CHECK(dice(random) >= 1);

  const std::filesystem::path folder = std::filesystem::temp_directory_path();
  CHECK(std::filesystem::is_directory(folder));
  for (const auto& entry : std::filesystem::directory_iterator("/")) CHECK(!entry.path().empty());
  try {
    (void)std::filesystem::file_size("/nowhere/at all");
    return __LINE__;
  } catch (const std::filesystem::filesystem_error& error) {
    CHECK(error.code() == std::errc::no_such_file_or_directory);
  }
  struct stat status;
  CHECK(::stat("/", &status) == 0 && S_ISDIR(status.st_mode));
  CHECK(::lstat("/", &status) == 0 && S_ISDIR(status.st_mode));
  CHECK(::fstat(-1, &status) == -1 && errno == EBADF);

  try {
    std::stoi("not a number");
    return __LINE__;
  } catch (const std::logic_error& error) {
    CHECK(std::strstr(error.what(), "stoi"));
  }
  std::exception_ptr kept;
  try {
    throw std::runtime_error("kept");
  } catch (...) {
    kept = std::current_exception();
  }
  try {
    std::rethrow_exception(kept);
  } catch (const std::exception& error) {
    CHECK(std::string(error.what()) == "kept");
  }

  std::ostringstream out;
  out.imbue(std::locale::classic());
  const std::time_t epoch = 0;
  out << std::put_time(std::gmtime(&epoch), "%Y-%m-%d") << ' ' << std::hex << 255 << ' ' << std::setprecision(3) << 2.5;
  CHECK(out.str() == "1970-01-01 ff 2.5");
  std::stringstream in("12 words");
  int number = 0;
  std::string word;
  CHECK(in >> number >> word && number == 12 && word == "words");
  CHECK(std::regex_match("fused_add", std::regex("[a-z_]+")));
  std::pmr::monotonic_buffer_resource memory;
  std::pmr::vector<int> numbers(100, 7, &memory);
  CHECK(numbers.back() == 7);
  CHECK(strtol("0x10", nullptr, 0) == 16);
  CHECK(dlsym(RTLD_DEFAULT, "no such function") == nullptr);
  std::cout << "wide" << std::endl;
  return 0;
}
