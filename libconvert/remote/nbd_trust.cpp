#include "libconvert/remote/nbd_trust.hpp"

#include "formats/base/ascii.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace vm2oci {
namespace {

namespace fs = std::filesystem;

std::string uri_decoded(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const std::string pair = text[i] == '%' ? to_lower_ascii(text.substr(i + 1, 2)) : "";
        if (pair.size() == 2 && digits.find(pair[0]) != std::string_view::npos &&
            digits.find(pair[1]) != std::string_view::npos) {
            decoded += static_cast<char>(digits.find(pair[0]) * 16 + digits.find(pair[1]));
            i += 2;
        } else {
            decoded += text[i];
        }
    }
    return decoded;
}

// What stands behind the question mark; of what is there twice the last.
std::map<std::string, std::string> parameters_of(std::string_view uri) {
    std::map<std::string, std::string> parameters;
    uri = uri.substr(0, uri.find('#'));
    const std::size_t question = uri.find('?');
    std::string_view rest = question == std::string_view::npos ? std::string_view() : uri.substr(question + 1);
    while (!rest.empty()) {
        const std::size_t end = rest.find_first_of("&;");
        const std::string_view pair = rest.substr(0, end);
        const std::size_t equals = pair.find('=');
        if (equals != std::string_view::npos)
            parameters[uri_decoded(pair.substr(0, equals))] = uri_decoded(pair.substr(equals + 1));
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    return parameters;
}

bool has_authorities(const fs::path& folder) {
    return ::access((folder / "ca-cert.pem").c_str(), R_OK) == 0;
}

// Where libnbd looks for certificates that no address names.
std::vector<fs::path> usual_folders() {
    const char* home = std::getenv("HOME");
    if (::geteuid() == 0 || home == nullptr)
        return {"/etc/pki/libnbd"};
    return {fs::path(home) / ".pki/libnbd", fs::path(home) / ".config/pki/libnbd"};
}

} // namespace

void require_trusted_server(std::string_view uri) {
    if (!uri.starts_with("nbds"))
        return;
    const std::map<std::string, std::string> parameters = parameters_of(uri);
    const auto verify = parameters.find("tls-verify-peer");
    const bool is_taken_unseen =
        verify != parameters.end() && (verify->second == "false" || verify->second == "no" || verify->second == "0");
    if (is_taken_unseen || parameters.contains("tls-psk-file"))
        return;
    if (uri.starts_with("nbds+"))
        fail(ErrorKind::usage, "behind a socket no certificate can be held against a name; give tls-psk-file=FILE, or "
                               "tls-verify-peer=false, in the address");
    const auto named = parameters.find("tls-certificates");
    const std::vector<fs::path> folders =
        named == parameters.end() ? usual_folders() : std::vector<fs::path>{named->second};
    for (const fs::path& folder : folders)
        if (has_authorities(folder))
            return;
    fail(ErrorKind::usage,
         named == parameters.end()
             ? "nobody vouches for the NBD server; say who may, with tls-certificates=FOLDER in the address (a folder "
               "with ca-cert.pem), or tls-verify-peer=false"
             : fmt::format("the folder {} has no ca-cert.pem, so nobody vouches for the NBD server",
                           quote_untrusted(named->second)));
}

} // namespace vm2oci
