#include "libconvert/edit/rpm_scripts.hpp"

#include <cstdint>
#include <optional>
#include <utility>

namespace vm2oci {
namespace {

constexpr std::string_view kLeadMagic("\xed\xab\xee\xdb", 4);
constexpr std::string_view kHeaderMagic("\x8e\xad\xe8\x01", 4);
constexpr std::size_t kLeadSize = 96;
constexpr std::size_t kHeaderHead = 16; // magic, four bytes kept for later, two numbers
constexpr std::size_t kEntrySize = 16;
constexpr std::size_t kSignatureAlignment = 8;
// The script itself, and the program that runs it: "%post -p /sbin/ldconfig" has the latter alone.
struct ScriptTags {
    std::uint32_t script;
    std::uint32_t program;
    const char* name;
};
constexpr ScriptTags kScriptTags[] = {{1023, 1085, "preinst"},    {1024, 1086, "postinst"},   {1025, 1087, "prerm"},
                                      {1026, 1088, "postrm"},     {1151, 1153, "pretrans"},   {1152, 1154, "posttrans"},
                                      {5103, 5105, "preuntrans"}, {5104, 5106, "postuntrans"}};

std::uint32_t big_endian(std::string_view bytes, std::size_t at) {
    std::uint32_t value = 0;
    for (const char byte : bytes.substr(at, 4))
        value = value << 8 | static_cast<unsigned char>(byte);
    return value;
}

struct Header {
    std::string_view entries;
    std::size_t size; // of all of it
};

std::optional<Header> header_at(std::string_view package, std::size_t at) {
    if (at > package.size() || !package.substr(at).starts_with(kHeaderMagic) || package.size() - at < kHeaderHead)
        return std::nullopt;
    const std::string_view rest = package.substr(at + kHeaderHead);
    const std::uint64_t entries = std::uint64_t{big_endian(package, at + 8)} * kEntrySize;
    const std::uint64_t data = big_endian(package, at + 12);
    if (entries + data > rest.size())
        return std::nullopt;
    return Header{rest.substr(0, static_cast<std::size_t>(entries)),
                  kHeaderHead + static_cast<std::size_t>(entries + data)};
}

} // namespace

std::vector<std::string> rpm_scripts(std::string_view package) {
    if (!package.starts_with(kLeadMagic))
        return {};
    const auto signature = header_at(package, kLeadSize);
    if (!signature)
        return {};
    const std::size_t padding = (kSignatureAlignment - signature->size % kSignatureAlignment) % kSignatureAlignment;
    const auto header = header_at(package, kLeadSize + signature->size + padding);
    if (!header)
        return {};
    std::vector<std::string> scripts;
    for (const ScriptTags& tags : kScriptTags)
        for (std::size_t at = 0; at < header->entries.size(); at += kEntrySize)
            if (const std::uint32_t tag = big_endian(header->entries, at); tag == tags.script || tag == tags.program) {
                scripts.emplace_back(tags.name);
                break;
            }
    return scripts;
}

} // namespace vm2oci
