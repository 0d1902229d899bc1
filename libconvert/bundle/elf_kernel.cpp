#include "libconvert/bundle/elf_kernel.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/initrd/decoders.hpp"

namespace vm2oci {
namespace {

constexpr std::string_view kElf("\x7f\x45LF", 4);

template <class T>
T field(std::string_view image, std::size_t at) {
    return load_le<T>(reinterpret_cast<const std::byte*>(image.data()) + at);
}

std::string_view payload(std::string_view image) {
    constexpr std::size_t kSector = 512;
    constexpr unsigned kFirstWithPayload = 0x0208;
    if (field<std::uint16_t>(image, 0x206) < kFirstWithPayload)
        fail(ErrorKind::unsupported, "the kernel is older than Linux 2.6.26: no ELF file can be taken out of it");
    const std::size_t setup = field<std::uint8_t>(image, 0x1f1);
    const std::uint64_t at =
        ((setup == 0 ? 4 : setup) + 1) * kSector + std::uint64_t{field<std::uint32_t>(image, 0x248)};
    const std::uint64_t length = field<std::uint32_t>(image, 0x24c);
    if (at > image.size() || length > image.size() - at || length < 8)
        fail(ErrorKind::corrupt, "the kernel's payload reaches beyond its image");
    const std::string_view whole = image.substr(static_cast<std::size_t>(at), static_cast<std::size_t>(length));
    // Behind everything but gzip stands the size of what it unpacks to, in four bytes.
    return whole.starts_with("\x1f\x8b") ? whole : whole.substr(0, whole.size() - 4);
}

} // namespace

std::optional<std::string> elf_kernel(std::string_view image) {
    if (image.starts_with(kElf))
        return std::string(image);
    if (image.size() < 0x260 || image.substr(0x202, 4) != "HdrS")
        return std::nullopt;
    const std::string_view packed = payload(image);
    if (packed.starts_with(kElf))
        return std::string(packed);
    MemoryStream input(as_bytes(packed));
    const Decoder decoder = make_decoder(as_bytes(packed), input);
    if (!decoder.stream)
        fail(ErrorKind::unsupported, decoder.name.empty() ? "the kernel is compressed in a way that is not known"
                                                          : "the kernel is compressed with " + decoder.name);
    std::string elf;
    for (auto ready = decoder.stream->available(); !ready.empty(); ready = decoder.stream->available()) {
        if (ready.size() > kElfKernelLimit - elf.size())
            fail(ErrorKind::limit, "the kernel unpacks to more than any kernel has");
        elf += as_text(ready);
        decoder.stream->consume(ready.size());
    }
    if (!elf.starts_with(kElf))
        fail(ErrorKind::corrupt, "the kernel unpacks to something that is no ELF file");
    return elf;
}

} // namespace vm2oci
