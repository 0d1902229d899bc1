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

// Zeros of one file that are written out although the file system does not store them. The specification of images
// advises against sparse members (layer.md, "Sparse files"), so they are kept for what would cost seconds: /var/log
// files of a terabyte that hold a few blocks.
inline constexpr std::uint64_t kMaxStoredHoles = 64ull * 1024 * 1024;
// Where members have to be whole.
inline constexpr std::uint64_t kMaxWholeHoles = std::uint64_t{16} * 1024 * 1024 * 1024;

enum class LargeHoles { leave_out, refuse }; // a file with more than kMaxStoredHoles of them, or kMaxWholeHoles

struct TarPolicy {
    DeviceNodes device_nodes = DeviceNodes::keep;
    WhiteoutNames whiteout_names = WhiteoutNames::refuse;
    LargeHoles large_holes = LargeHoles::leave_out;
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
    ReportedPaths sparse;  // stored without their holes
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

    // Error{unsupported}, Error{limit} for what the policy refuses; Error{io} if the content is not as long as its
    // entry says.
    void add(const Entry& entry, const FileContent* content) override;
    // Writes the end of the archive. Call once, last.
    TarReport finish();

  private:
    void add_whole(const Entry& entry, const FileContent* content);
    void add_sparse(const Entry& entry, const FileContent& content, std::vector<DataRange> pieces);

    ByteSink& out_;
    TarPolicy policy_;
    TarObserver* observer_;
    TarReport report_;
};

} // namespace vm2oci
