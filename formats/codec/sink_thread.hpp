// A sink on a thread of its own: the writer goes on while the bytes are worked on.
#pragma once

#include "formats/base/sink.hpp"

#include <memory>

namespace vm2oci {

class SinkThread final : public ByteSink {
  public:
    // `out` is used from the thread alone until finish(); it must outlive this object.
    explicit SinkThread(ByteSink& out);
    ~SinkThread() override; // joins; what was queued is dropped

    // Copies. Blocks while 4 MiB wait. Rethrows what `out` threw.
    void write(std::span<const std::byte> bytes) override;
    // Waits until all is written, then joins. Rethrows what `out` threw. Call once.
    void finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace vm2oci
