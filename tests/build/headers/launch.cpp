// One small program per behaviour of the launch path; the first word chooses it.
#include "harness.h"
int main(int argc, char** argv) {
  const std::string test = argc > 1 ? argv[1] : "";
  if (test == "plain") { report("launch", [] { add(); }); return 0; }
  Fake fake;
  if (test == "everything") {
    fake.configure(4, 0, 0);
    void* stream = fake.stream(3);
    float* p = reinterpret_cast<float*>(0x7f0000001000);
    gpuwheel::LaunchConfig c{{16, 2, 3}, {256, 4}, {stream, 3}};
    c.shared_bytes = 100000; c.cluster = {2, 1, 1}; c.programmatic = true; c.cooperative = true;
    small::add.launch(c, p, p + 3, 4096, 1.5f);
    const Submission& l = fake.launch(0);
    void* q[2]; long d; float e;
    std::memcpy(q, l.parameters, 16); std::memcpy(&d, l.parameters + 16, 8); std::memcpy(&e, l.parameters + 24, 4);
    std::printf("%s grid %u %u %u block %u %u %u cluster %u %u %u shared %u flags %d %d device %d stream %d\n", l.kernel, l.grid[0], l.grid[1], l.grid[2],
                l.block[0], l.block[1], l.block[2], l.cluster[0], l.cluster[1], l.cluster[2], l.shared_bytes, l.cooperative, l.programmatic, l.device, l.stream == stream);
    std::printf("parameters %d: %d %d %ld %g\n", l.parameter_count, q[0] == p, q[1] == p + 3, d, static_cast<double>(e));
    struct { char text[12]; } text = {"hello world"};
    small::bytes.launch({1, 32, {stream, 3}}, text, 'x');
    std::printf("%s %c\n", fake.launch(1).parameters, fake.launch(1).parameters[12]);
  }
  if (test == "shared") {
    fake.configure(2, 0, 0);
    gpuwheel::LaunchConfig a{1, 32, {fake.stream(0), 0}}, b{1, 32, {fake.stream(1), 1}};
    float* p = nullptr;
    a.shared_bytes = 1000; small::fill<4>.launch(a, p); small::fill<4>.launch(a, p);
    std::printf("small: set %ld\n", fake.calls("cuKernelSetAttribute"));
    a.shared_bytes = b.shared_bytes = 100000;
    for (int i = 0; i < 5; ++i) { small::fill<4>.launch(a, p); small::fill<4>.launch(b, p); }
    std::printf("large, two devices: set %ld\n", fake.calls("cuKernelSetAttribute"));
    a.shared_bytes = 60000; small::fill<4>.launch(a, p);
    std::printf("smaller again: set %ld, limit %d\n", fake.calls("cuKernelSetAttribute"), small::fill<4>.attributes(0).max_dynamic_shared_bytes);
    a.shared_bytes = 40000;
    small::static_shared.launch(a, static_cast<void*>(nullptr));
    std::printf("with 16 KB static: set %ld\n", fake.calls("cuKernelSetAttribute"));
    a.shared_bytes = 300000;
    report("too much", [&] { small::fill<4>.launch(a, p); });
  }
  if (test == "context") {
    fake.configure(3, 0, 0);
    std::thread([&] { report("fresh thread", [] { add({nullptr, 2}); add({nullptr, 2}); }); }).join();
    std::thread([&] { report("another", [] { add({nullptr, 2}); }); }).join();
    std::printf("device %d, retained %ld, set %ld, launches asked for %ld\n", fake.launch(0).device, fake.calls("cuDevicePrimaryCtxRetain"),
                fake.calls("cuCtxSetCurrent"), fake.calls("cuLaunchKernelEx"));
  }
  if (test == "threads") {
    fake.find<void(int)>("gpuwheel_fake_record")(0);
    fake.configure(2, 0, 0);
    std::vector<std::thread> threads; std::atomic<bool> start{false};
    for (int i = 0; i < 32; ++i) threads.emplace_back([&, i] {
      while (!start) std::this_thread::yield();
      for (int j = 0; j < 500; ++j) {
        gpuwheel::LaunchConfig c{1, 32, {nullptr, i % 2}};
        c.shared_bytes = static_cast<unsigned>(50000 + i * 100 + j);
        add({nullptr, i % 2}); small::fill<4>.launch(c, static_cast<float*>(nullptr));
      }
    });
    start = true;
    for (auto& thread : threads) thread.join();
    std::printf("init %ld load %ld launches %d\n", fake.calls("cuInit"), fake.calls("cuLibraryLoadData"), fake.calls("cuLaunchKernelEx") >= 32000);
  }
  if (test == "start") {
    fake.fail("cuInit", 100); report("no device", [] { add(); }); report("later", [] { add(); });
  }
  if (test == "errors") {
    report("missing", [] { small::missing.launch({1, 32}, static_cast<void*>(nullptr)); });
    report("block", [] { small::fill<4>.launch({1, 2048}, static_cast<float*>(nullptr)); });
    report("grid", [] { small::fill<4>.launch({std::int64_t{1} << 40, 32}, static_cast<float*>(nullptr)); });
    report("stream", [] { small::fill<4>.launch({1, 32, {reinterpret_cast<void*>(0x5000), 0}}, static_cast<float*>(nullptr)); });
    fake.fail("cuLaunchKernelEx", 999); report("unknown", [] { add(); });
    gpuwheel::LaunchConfig c{2000, 256}; c.cooperative = true;
    report("cooperative", [&] { small::fill<4>.launch(c, static_cast<float*>(nullptr)); });
    c = {3, 32}; c.cluster = 2; report("cluster", [&] { small::fill<4>.launch(c, static_cast<float*>(nullptr)); });
    c = {32, 32}; c.cluster = 16; report("large cluster", [&] { small::fill<4>.launch(c, static_cast<float*>(nullptr)); });
    report("device", [] { small::fill<4>.preload(64); });
  }
  if (test == "image") report("launch", [] { add(); });
  if (test == "fork") {
    if (argc > 2) add();
    if (fork() == 0) { report("child", [] { add(); }); _exit(0); }
    wait(nullptr);
  }
  if (test == "fork during") {
    // Another thread is in its first call of the driver, of which the named function takes long.
    const std::string slow = argv[2];
    const int before = argc > 3 ? std::atoi(argv[3]) : 0;
    if (before) { small::fill<4>.launch({1, 32}, static_cast<float*>(nullptr)); }
    fake.find<int(const char*, int)>("gpuwheel_fake_slow")(slow.c_str(), 700);
    const long calls = fake.calls(slow.c_str());
    std::thread other([&] {
      gpuwheel::LaunchConfig c{1, 32};
      c.shared_bytes = 100000;
      if (before) small::fill<4>.launch(c, static_cast<float*>(nullptr)); else add();
    });
    while (fake.calls(slow.c_str()) == calls) std::this_thread::yield();
    if (fork() == 0) {
      alarm(5);
      gpuwheel::LaunchConfig c{1, 32};
      c.shared_bytes = 90000;
      report("child", [] { add(); });
      report("child, again", [&] { small::fill<4>.launch(c, static_cast<float*>(nullptr)); });
      report("child, preload", [] { small::fill<4>.preload(0); });
      _exit(0);
    }
    int status = 0;
    wait(&status);
    other.join();
    report("parent", [] { add(); });
    std::printf("status %d\n", status);
  }
  if (test == "streams") {
    fake.configure(2, 0, 0);
    const auto launched = [&](const char* what, gpuwheel::Stream stream) {
      const long before = fake.launches();
      report(what, [&] { small::fill<4>.launch({1, 32, stream}, static_cast<float*>(nullptr)); });
      void* context = nullptr;
      int current = -1;
      fake.find<int(void**)>("cuCtxGetCurrent")(&context);
      if (context) fake.find<int(int*)>("cuCtxGetDevice")(&current);
      const int device = fake.launches() == before ? -1 : fake.launch(before).device;
      std::printf("  launched on %d, current %d\n", device, current);
    };
    void* second = fake.stream(1);
    launched("no context, no device", {});
    launched("the other device's default stream", {nullptr, 1});
    launched("its legacy stream", {reinterpret_cast<void*>(1), 1});
    launched("its per-thread stream", {reinterpret_cast<void*>(2), 1});
    launched("a stream of its own", {second, 1});
    for (int device : {2, 63, 64, 2147483647}) launched(("device " + std::to_string(device)).c_str(), {nullptr, device});
    launched("a stream and no such device", {second, 64});
    std::thread([&] { launched("a new thread", {nullptr, 1}); launched("then the current device", {}); }).join();
    gpuwheel::LaunchConfig c{1, 32, {nullptr, 1}};
    c.shared_bytes = 100000;
    report("large", [&] { small::fill<4>.launch(c, static_cast<float*>(nullptr)); });
    std::printf("limits %d %d\n", small::fill<4>.attributes(0).max_dynamic_shared_bytes, small::fill<4>.attributes(1).max_dynamic_shared_bytes);
  }
  if (test == "questions") {
    const auto a = small::static_shared.attributes(0);
    std::printf("shared %d threads %d dynamic %d\n", a.shared_bytes, a.max_threads, a.max_dynamic_shared_bytes);
    std::printf("blocks %d", small::fill<4>.max_blocks_per_multiprocessor(0, 256));
    std::printf(" with shared %d", small::fill<4>.max_blocks_per_multiprocessor(0, 256, 100000));
    const auto size = small::fill<4>.suggest_block_size(0, 0, 512);
    std::printf(" block %d grid %d cluster %d\n", size.threads, size.min_grid, small::fill<4>.max_cluster_size({1, 128}));
    void* context = nullptr; fake.find<int(void**)>("cuCtxGetCurrent")(&context);
    std::printf("context left %d\n", context != nullptr);
  }
  if (test == "capture") {
    void* stream = fake.stream(0);
    const bool warm = argc > 2;
    if (warm) { small::fill<4>.preload(0, 100000); }
    fake.find<int(void*)>("gpuwheel_fake_begin_capture")(stream);
    gpuwheel::LaunchConfig c{1, 32, {stream, 0}}; c.shared_bytes = 100000;
    report("captured", [&] { small::fill<4>.launch(c, static_cast<float*>(nullptr)); });
    void* graph = nullptr;
    fake.find<int(void*, void**)>("gpuwheel_fake_end_capture")(stream, &graph);
    std::printf("launches %ld", fake.launches());
    fake.find<int(void*)>("gpuwheel_fake_replay")(graph);
    std::printf(" after replay %ld\n", fake.launches());
  }
}
