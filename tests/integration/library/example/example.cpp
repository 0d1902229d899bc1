// A disk becomes a containerDisk in an OCI layout, and is inspected there.
//
//   example DISK LAYOUT:TAG
#include <vm2oci/convert.hpp>
#include <vm2oci/inspect.hpp>

#include <iostream>

namespace {

class Notes final : public vm2oci::Progress {
    void note(std::string_view line) noexcept override { std::cerr << line << '\n'; }
};

void convert_and_inspect(const std::string& disk, const std::string& layout) {
    Notes notes;
    vm2oci::Operation operation;
    operation.progress = &notes;

    vm2oci::ConvertRequest conversion;
    conversion.source = disk;
    conversion.destination = "oci:" + layout;
    conversion.shape = vm2oci::ContainerDisk{};
    const vm2oci::ConvertResult made = vm2oci::convert(conversion, operation);
    std::cout << "digest " << made.image->digest << '\n';

    const vm2oci::Inspection seen = vm2oci::inspect({conversion.destination, {}, {}, {}}, operation);
    std::cout << "format " << seen.disk->format.value_or("not known") << '\n'
              << "virtual-size " << seen.disk->virtual_size.value_or(0) << '\n';
    if (seen.inside && seen.inside->guest)
        std::cout << "guest " << seen.inside->guest->os.product.value_or("not known") << '\n';
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3)
        return 2;
    try {
        convert_and_inspect(argv[1], argv[2]);
        return 0;
    } catch (const vm2oci::Error& error) {
        std::cout << "error " << to_string(error.kind()) << " hint " << error.hint().kind << '\n';
        std::cerr << "example: " << error.what() << '\n';
        return 1;
    }
}
