#include "libconvert/inspect/rpm_packages.hpp"

#include "formats/rpm/database.hpp"

#include <algorithm>

namespace vm2oci::inspect {
namespace {

// A file of the guest at any offset: databases are read page by page, and a page is much smaller than a fetch.
class GuestFile final : public ByteSource {
  public:
    GuestFile(const Guest& guest, std::string path) : guest_(guest), path_(std::move(path)) {
        if (const std::optional<FileStatus> status = guest_.status(path_, FinalLink::follow))
            size_ = status->size;
    }
    std::uint64_t size() const { return size_; }

    std::size_t read_some_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        constexpr std::uint64_t kWindow = 512ull * 1024;
        std::size_t done = 0;
        while (done < buffer.size() && offset + done < size_) {
            const std::uint64_t at = offset + done;
            if (window_.empty() || at < begin_ || at - begin_ >= window_.size()) {
                begin_ = at / kWindow * kWindow;
                window_ = guest_.read_range(path_, begin_, kWindow).value_or("");
                if (at - begin_ >= window_.size())
                    break;
            }
            const std::size_t inside = static_cast<std::size_t>(at - begin_);
            const std::size_t step = std::min(buffer.size() - done, window_.size() - inside);
            std::copy_n(reinterpret_cast<const std::byte*>(window_.data()) + inside, step,
                        buffer.begin() + static_cast<std::ptrdiff_t>(done));
            done += step;
        }
        return done;
    }

  private:
    const Guest& guest_;
    std::string path_;
    std::uint64_t size_ = 0;
    mutable std::uint64_t begin_ = 0;
    mutable std::string window_;
};

} // namespace

bool for_each_rpm_package(const Guest& guest, RpmFiles files, const std::function<void(RpmPackage)>& visit) {
    // The newer kinds first: what a conversion left of the older ones is out of date.
    for (const char* name : {"/rpmdb.sqlite", "/Packages.db", "/Packages"})
        for (const char* folder : {"/usr/lib/sysimage/rpm", "/var/lib/rpm"}) {
            const std::string path = std::string(folder) + name;
            if (!exists(guest, path))
                continue;
            const GuestFile file(guest, path);
            const GuestFile log(guest, path + "-wal");
            for_each_rpm_header({&file, file.size(), &log, log.size()}, [&](std::span<const std::byte> header) {
                RpmPackage package = parse_rpm_header(header, files);
                if (package.name != "gpg-pubkey")
                    visit(std::move(package));
            });
            return true;
        }
    return false;
}

} // namespace vm2oci::inspect
