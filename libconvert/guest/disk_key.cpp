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

constexpr std::size_t kMaxKeyFile =
    8ull * 1024 * 1024;                     // what cryptsetup takes of a key file, as distributions build it
constexpr std::size_t kMaxPassphrase = 512; // cryptsetup(8)

bool equal_without_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// The bytes of the file; none of them stays anywhere else.
std::string read_key_file(const std::string& path) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file)
        fail_errno("cannot read the key in " + path, errno);
    std::string bytes(kMaxKeyFile + 1, '\0');
    std::size_t length = 0;
    while (length < bytes.size()) {
        const ssize_t got = ::read(file.get(), bytes.data() + length, bytes.size() - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            fail_errno("cannot read the key in " + path, errno);
        if (got == 0)
            break;
        length += static_cast<std::size_t>(got);
    }
    if (length > kMaxKeyFile)
        fail(ErrorKind::usage, path + " is no key: it has more than 8 MiB");
    std::string read = bytes.substr(0, length);
    ::explicit_bzero(bytes.data(), length);
    return read;
}

} // namespace

DiskKey::~DiskKey() {
    ::explicit_bzero(secret.data(), secret.size());
    ::explicit_bzero(whole_file.data(), whole_file.size());
}

std::vector<std::string_view> DiskKey::secrets() const {
    std::vector<std::string_view> result;
    for (const std::string_view bytes : {std::string_view(secret), std::string_view(whole_file)})
        if (!bytes.empty())
            result.push_back(bytes);
    return result;
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
    const std::string path(specification.substr(at + kFile.size()));
    DiskKey key{std::string(specification.substr(0, at)), {}, read_key_file(path)};
    const std::size_t line = std::min(key.whole_file.find('\n'), key.whole_file.size());
    if (line <= kMaxPassphrase && key.whole_file.find('\0') >= line)
        key.secret = key.whole_file.substr(0, line);
    if (key.secret == key.whole_file)
        key.whole_file.clear();
    if (key.secrets().empty())
        fail(ErrorKind::usage, path + " holds no passphrase and no key: it is empty");
    return key;
}

} // namespace vm2oci
