// Writes into the current folder the disks that qemu-img reads and does not write: for block/foreign_disks.sh.
#include "formats/base/fd.hpp"
#include "tests/support/vhd_writer.hpp"
#include "tests/support/vhdx_writer.hpp"
#include "tests/support/vmdk_writer.hpp"

#include <fstream>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

void write_file(const std::string& name, std::string_view content) {
    std::ofstream(name, std::ios::binary) << content;
}

void write_file(const std::string& name, const ImageBytes& image) {
    write_file(name, as_text(image.bytes));
}

void write_vmdks() {
    const GrainValues values = {{0, 1}, {1, 2}, {2, 3}, {100, 4}, {511, 5}, {512, 6}, {599, 7}};
    GrainValues with_zeros = values;
    with_zeros[300] = kZeroedGrain;
    const auto line = [](const std::string& type, const std::string& name) {
        return "RW " + std::to_string(kVmdkSectors) + " " + type + " \"" + name + "\"\n";
    };
    write_file("stream.vmdk", make_stream_vmdk(values));
    write_file("zeroed.vmdk", make_sparse_vmdk(with_zeros));
    write_file("cowd.vmdk", vmdk_descriptor("vmfsSparse", line("VMFSSPARSE", "cowd-delta.vmdk")));
    write_file("cowd-delta.vmdk", make_cowd_extent(values));
    write_file("sesparse.vmdk", vmdk_descriptor("seSparse", line("SESPARSE", "sesparse-sesparse.vmdk")));
    write_file("sesparse-sesparse.vmdk", make_sesparse_extent(with_zeros));
}

void write_vhds() {
    VhdShape shape;
    shape.blocks = {{39, 1}, {0, 2}, {17, 3}};
    for (std::uint64_t sector = 17 * 128; sector < 18 * 128; sector += 3)
        shape.missing_sectors.insert(sector);
    write_file("dynamic.vhd", make_vhd(shape));
    shape.creator = "vpc ";
    write_file("geometry.vhd", make_vhd(shape));
    write_file("blocks.vdi", make_vdi({{11, 1}, {0, 2}, {1, kZeroBlock}}));
}

void write_vhdx() {
    VhdxShape shape;
    shape.blocks = {{9, 1}, {0, 2}, {4, 3}};
    write_file("blocks.vhdx", make_vhdx(shape));
    // A block that only the log knows, in two entries, the last of which is torn.
    ImageBytes image = make_vhdx(shape);
    const std::uint64_t block = image.size();
    image.fill(block, kMegabyte, 0x42);
    mark_log(image);
    const auto table = image.at(vhdx_at::table, 4096);
    LogChange change{vhdx_at::table, 4096, std::vector<std::byte>(table.begin(), table.end())};
    store_le<std::uint64_t>(&(*change.content)[8 * 6], block | 6);
    const std::uint64_t slots = put_log_entry(image, {0, 0, 5, block + kMegabyte, block + kMegabyte, {change}});
    put_log_entry(image, {slots, 0, 6, block + kMegabyte, block + kMegabyte, {{block + 4096, 8192, std::nullopt}}});
    write_file("log.vhdx", image);
}

} // namespace

int main() {
    write_vmdks();
    write_vhds();
    write_vhdx();
}
