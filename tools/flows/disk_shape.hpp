// The steps that shapes of a whole disk have in common.
#pragma once

#include "tools/flows/convert_run.hpp"
#include "tools/flows/guest_session.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

class DiskShape : public ConvertShape {
  public:
    // Whether what is made is a machine that boots: then what would keep it from that is looked for.
    enum class Boots { no, yes };

    // A guest is read from all disks of the machine.
    DiskShape(ConvertRun& run, Boots boots);

    void open_source() override;
    void edit() override;
    void leave_out_unused() override;
    void list_packages() override;

  protected:
    GuestSession& guest() { return *guest_; }
    std::size_t disk_count() const { return run_.machine.disks.size(); }
    // One of the disks, as it is now. Those that nothing changed are the source's own.
    DiskView disk_view(std::size_t disk);
    // How that disk is written: what the request says of a size is for the first one, which the guest boots from.
    DiskOutput output_of(std::size_t disk) const;
    const std::optional<SeedFiles>& seed() const { return seed_; } // a second disk that was asked for
    // Of the guest as it will be.
    std::optional<GuestSummary> summary() const;
    // A file that was written, as what boots. Of what was asked of the source only the limits hold for it too.
    BootSubject bootable(std::shared_ptr<const BlockDevice> file, const std::string& name,
                         std::optional<DiskFormat> format) const;

    ConvertRun& run_;

  private:
    void grow();

    Boots boots_;
    std::optional<SeedFiles> seed_;
    std::unique_ptr<GuestSession> guest_;          // from open_source() on
    std::shared_ptr<const BlockDevice> unchanged_; // what the guest was read from
    std::vector<std::uint64_t> sizes_;             // of the disks as they are now
};

// A disk inside an image goes among its annotations, and everybody who pulls the image may read it.
void add_seed_to_image(const SeedFiles& seed, ConvertRun& run, ImageOptions& image);

} // namespace vm2oci
