#include "libconvert/guest/disk_key.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>

namespace vm2oci {
namespace {

constexpr std::size_t kMaxKeyFile = 8ull * 1024; // cryptsetup(8): passphrases have at most 512 bytes

bool equal_without_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::string read_first_line(const std::string& path) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file)
        fail_errno("cannot read the key in " + path, errno);
    std::string text(kMaxKeyFile, '\0');
    std::size_t length = 0;
    while (length < text.size()) {
        const ssize_t got = ::read(file.get(), text.data() + length, text.size() - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            fail_errno("cannot read the key in " + path, errno);
        if (got == 0)
            break;
        length += static_cast<std::size_t>(got);
    }
    text.resize(length);
    const std::size_t line = std::min(text.find('\n'), text.size());
    ::explicit_bzero(text.data() + line, text.size() - line);
    text.resize(line);
    if (text.empty() || text.find('\0') != std::string::npos)
        fail(ErrorKind::usage, path + " holds no passphrase in its first line");
    return text;
}

} // namespace

DiskKey::~DiskKey() {
    ::explicit_bzero(secret.data(), secret.size());
}

bool DiskKey::fits(std::string_view device, std::string_view uuid) const {
    return selector == "all" || selector == device || equal_without_case(selector, uuid);
}

DiskKey read_disk_key(std::string_view specification) {
    constexpr std::string_view kFile = ":file:";
    if (specification.find(":key:") != std::string_view::npos)
        fail(ErrorKind::usage, "a key on the command line is seen by everybody: write it into a file and say "
                               "SELECTOR:file:FILE");
    const std::size_t at = specification.find(kFile);
    if (at == 0 || at == std::string_view::npos || at + kFile.size() == specification.size())
        fail(ErrorKind::usage, "'" + std::string(specification) +
                                   "' is no key: SELECTOR:file:FILE, where SELECTOR is all, a device or a UUID");
    return {std::string(specification.substr(0, at)),
            read_first_line(std::string(specification.substr(at + kFile.size())))};
}

} // namespace vm2oci
