#include "libconvert/hardware/description.hpp"

#include "formats/base/ascii.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"

#include <fmt/format.h>

namespace vm2oci {
namespace {

using namespace std::string_view_literals;

// UTF-16 of plain letters becomes what it says; a byte order mark goes.
std::string plain_head(std::string_view head) {
    std::string text(head.substr(0, kDescriptionHeadBytes));
    if (text.starts_with("\xff\xfe"sv) || text.starts_with("\xfe\xff"sv)) {
        text.erase(0, 2);
        std::erase(text, '\0');
    }
    if (text.starts_with("\xef\xbb\xbf"sv))
        text.erase(0, 3);
    return text;
}

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// Behind a document type, with what stands in its brackets.
std::size_t end_of_doctype(std::string_view text) {
    std::size_t depth = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '[')
            ++depth;
        else if (text[i] == ']' && depth > 0)
            --depth;
        else if (text[i] == '>' && depth == 0)
            return i + 1;
    }
    return text.size();
}

// The name of the first element; "" if the text does not begin as XML does.
std::string_view root_of(std::string_view text) {
    const auto skip_behind = [&](std::string_view end) {
        const std::size_t at = text.find(end);
        text.remove_prefix(at == std::string_view::npos ? text.size() : at + end.size());
    };
    while (!text.empty()) {
        if (is_blank(text.front()))
            text.remove_prefix(1);
        else if (text.starts_with("<?"))
            skip_behind("?>");
        else if (text.starts_with("<!--"))
            skip_behind("-->");
        else if (text.starts_with("<!"))
            text.remove_prefix(end_of_doctype(text));
        else
            break;
    }
    if (!text.starts_with('<'))
        return "";
    text.remove_prefix(1);
    const std::size_t end = text.find_first_of(" \t\r\n/>");
    return end == std::string_view::npos ? ""sv : text.substr(0, end);
}

// Lines of the form 'key = "value"' up to one that every VMX has.
bool begins_as_vmx(std::string_view text) {
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        while (!line.empty() && is_blank(line.back()))
            line.remove_suffix(1);
        while (!line.empty() && is_blank(line.front()))
            line.remove_prefix(1);
        if (line.empty() || line.starts_with('#'))
            continue;
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos || line.find('\0') != std::string_view::npos)
            return false;
        std::string_view key = line.substr(0, equals);
        while (!key.empty() && is_blank(key.back()))
            key.remove_suffix(1);
        const std::string lower = to_lower_ascii(key);
        if (lower == "config.version" || lower == "virtualhw.version")
            return true;
        if (key.empty() || key.find_first_of(" \t\"") != std::string_view::npos)
            return false;
    }
    return false;
}

[[noreturn]] void refuse(std::string_view what, std::string_view advice) {
    fail(ErrorKind::unsupported, fmt::format("the file is {}, which is not read here; {}", what, advice));
}

} // namespace

std::string_view to_string(DescriptionFormat format) {
    switch (format) {
    case DescriptionFormat::vmx:
        return "vmx";
    case DescriptionFormat::libvirt:
        return "libvirt";
    case DescriptionFormat::hyperv:
        return "hyperv";
    }
    return "";
}

std::optional<DescriptionFormat> detect_description(std::string_view head) {
    const std::string text = plain_head(head);
    const std::string_view root = root_of(text);
    if (root == "domain")
        return DescriptionFormat::libvirt;
    if (root == "configuration" && text.find("type=\"") != std::string::npos)
        return DescriptionFormat::hyperv;
    if (root == "domstatus")
        refuse("the state of a machine that libvirt runs", "describe the machine itself, with virsh dumpxml");
    if (root == "domainsnapshot" || root == "domaincheckpoint")
        refuse("a snapshot of a machine of libvirt", "describe the machine itself, with virsh dumpxml");
    if (root == "VirtualBox")
        refuse("VirtualBox's settings", "export the machine as an OVA (VBoxManage export), or name its disk");
    if (root == "ParallelsVirtualMachine" || root == "Parallels_disk_image")
        refuse("a description of Parallels", "convert its disk to qcow2 first, and name that");
    if (begins_as_vmx(text))
        return DescriptionFormat::vmx;
    return std::nullopt;
}

MachineDescription parse_description(DescriptionFormat format, std::string_view text, std::string_view name) {
    if (text.size() > kMaxDescriptionBytes)
        fail(ErrorKind::limit, fmt::format("{} has {}, and the limit is {}", name, format_size(text.size()),
                                           format_size(kMaxDescriptionBytes)));
    MachineDescription description;
    switch (format) {
    case DescriptionFormat::vmx:
        description = with_context(std::string(name), [&] { return parse_vmx(text); });
        break;
    case DescriptionFormat::libvirt:
        description = parse_libvirt_domain(text, name);
        break;
    case DescriptionFormat::hyperv:
        description = parse_hyperv(text, name);
        break;
    }
    with_context(std::string(name), [&] { check_machine(description.hardware); });
    return description;
}

std::string last_part(std::string_view path) {
    const std::size_t slash = path.find_last_of("/\\");
    return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

} // namespace vm2oci
