// The steps that shapes of a whole disk have in common.
#pragma once

#include "tools/flows/convert_run.hpp"
#include "tools/flows/guest_session.hpp"

#include <optional>
#include <string>

namespace vm2oci {

class DiskShape : public ConvertShape {
  public:
    // Whether what is made is a machine that boots: then what would keep it from that is looked for.
    enum class Boots { no, yes };

    // Whether what is made can hold the disks of a machine that has several. A guest is read from all of them.
    enum class Disks { one, several };

    DiskShape(ConvertRun& run, Boots boots, Disks disks);

    void open_source() override;
    void edit() override;
    void leave_out_unused() override;
    void list_packages() override;

  protected:
    GuestSession& guest() { return *guest_; }
    const std::optional<SeedFiles>& seed() const { return seed_; } // a second disk that was asked for
    // Of the guest as it will be.
    std::optional<GuestSummary> summary() const;
    // A file that was written, as what boots. Of what was asked of the source only the limits hold for it too.
    BootSubject bootable(std::shared_ptr<const BlockDevice> file, const std::string& name,
                         std::optional<DiskFormat> format) const;

    ConvertRun& run_;

  private:
    Boots boots_;
    Disks disks_;
    std::optional<SeedFiles> seed_;
    std::optional<GuestSession> guest_;
};

// A disk inside an image goes among its annotations, and everybody who pulls the image may read it.
void add_seed_to_image(const SeedFiles& seed, ConvertRun& run, ImageOptions& image);

} // namespace vm2oci
