// A file tree as a tar stream: deterministic, byte for byte the same for the same tree.
#pragma once

#include "formats/tree/entry.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

enum class DeviceNodes { keep, leave_out };
// Files named ".wh.…", which a layer of an image cannot hold: there they delete files (image-spec, layer.md).
enum class WhiteoutNames { keep, refuse };

struct TarPolicy {
    DeviceNodes device_nodes = DeviceNodes::keep;
    WhiteoutNames whiteout_names = WhiteoutNames::refuse;
};

inline constexpr std::size_t kReportedPaths = 100; // of each kind

struct ReportedPaths {
    std::uint64_t count = 0;
    std::vector<std::string> first; // at most kReportedPaths, raw bytes
};

// What a person should know of a tree that was packed.
struct TarReport {
    std::uint64_t entries = 0;
    ReportedPaths sockets; // left out: tar cannot hold them
    ReportedPaths devices; // left out by policy
    ReportedPaths set_id;  // kept: files that run with another user's or group's rights
};

// Is told of every entry before its header is written.
class TarObserver {
  public:
    virtual ~TarObserver() = default;
    virtual void entry_begins(const Entry& entry, std::string_view header) = 0;
};

class TarSink final : public TreeSink {
  public:
    // Both must outlive this object; `observer` may be null.
    TarSink(ByteSink& out, TarPolicy policy, TarObserver* observer = nullptr)
        : out_(out), policy_(policy), observer_(observer) {}

    // Error{unsupported} for what the policy refuses; Error{io} if the content is not as long as its entry says.
    void add(const Entry& entry, const FileContent* content) override;
    // Writes the end of the archive. Call once, last.
    TarReport finish();

  private:
    ByteSink& out_;
    TarPolicy policy_;
    TarObserver* observer_;
    TarReport report_;
};

} // namespace vm2oci
