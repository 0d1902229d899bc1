#include "libconvert/edit/user_data.hpp"

#include "formats/base/base64.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/edit/cloud_config_schema.hpp"
#include "libconvert/edit/text.hpp"
#include "libconvert/edit/yaml.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

namespace vm2oci {
namespace {

constexpr unsigned kMimePartLimit = 1000; // parts of one message; people write a handful
constexpr unsigned kMimeNestingLimit = 4; // multipart inside multipart

std::string gunzip(std::string_view data) {
    z_stream stream{};
    if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK)
        fail(ErrorKind::io, "out of memory while unpacking gzip");
    struct End {
        z_stream& stream;
        ~End() { inflateEnd(&stream); }
    } const end{stream};
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
    stream.avail_in = static_cast<uInt>(data.size());
    std::string out;
    std::array<char, 16384> buffer{};
    const auto rest = [&] { return data.substr(data.size() - stream.avail_in); };
    while (true) {
        stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
        stream.avail_out = buffer.size();
        const int status = inflate(&stream, Z_NO_FLUSH);
        out.append(buffer.data(), buffer.size() - stream.avail_out);
        if ((status != Z_OK && status != Z_STREAM_END) || (stream.avail_in == 0 && status == Z_OK && stream.avail_out))
            fail(ErrorKind::usage, "its gzip data is broken");
        if (out.size() > kUserDataLimit)
            fail(ErrorKind::usage, "it is larger than 16 MiB when unpacked");
        if (status != Z_STREAM_END)
            continue;
        // Members follow one another, with zeros between and behind them (Python's GzipFile, which cloud-init asks).
        const std::size_t padding = std::min(rest().find_first_not_of('\0'), rest().size());
        stream.next_in += padding;
        stream.avail_in -= static_cast<uInt>(padding);
        if (stream.avail_in == 0)
            return out;
        inflateReset(&stream);
    }
}

YamlValue parse_users_yaml(std::string_view text) {
    try {
        return parse_yaml(text);
    } catch (const Error& error) {
        fail(ErrorKind::usage, error.message());
    }
}

using RemarkList = std::vector<std::string>;

// How user data may begin (cloudinit/handlers: INCLUSION_TYPES_MAP); longer ones go before those that begin like them.
constexpr std::array<std::string_view, 10> kMarks = {
    "#cloud-config-archive", "#cloud-config-jsonp", "## template: jinja", "#cloud-boothook", "#include-once",
    "#cloud-config",         "#part-handler",       "#upstart-job",       "#include",        "#!"};

// Empty: none of them.
std::string_view mark_of(std::string_view first_line) {
    const std::string lower = to_lower(first_line);
    for (const std::string_view mark : kMarks)
        if (lower.starts_with(mark))
            return mark;
    return {};
}

std::string_view without_blanks_before(std::string_view text) {
    return text.substr(std::min(text.find_first_not_of(" \t\r\n\v\f"), text.size()));
}

void check_cloud_config(std::string_view text, RemarkList& remarks) {
    const YamlValue root = parse_users_yaml(text);
    if (root.kind() != YamlKind::mapping && root.kind() != YamlKind::null)
        fail(ErrorKind::usage, "a #cloud-config is a YAML mapping (name: value), and this one is not");
    for (std::string& remark : cloud_config_remarks(root))
        remarks.push_back(std::move(remark));
}

// One URL a line; the first may stand behind the mark.
void check_include(std::string_view text, RemarkList& remarks) {
    bool any = false;
    for (const std::string_view line : lines_of(text)) {
        std::string_view url = trimmed(line);
        const std::string_view mark = mark_of(url);
        if (mark.starts_with("#include"))
            url = trimmed(url.substr(mark.size()));
        if (url.empty() || url.front() == '#')
            continue;
        if (!url.starts_with("http://") && !url.starts_with("https://") && !url.starts_with("file://") &&
            !url.starts_with("ftp://"))
            fail(ErrorKind::usage, fmt::format("an #include names {}, which is no URL", quote_untrusted(url)));
        any = true;
    }
    if (!any)
        remarks.push_back("an #include names no URL: there is nothing in it");
}

void check_by_first_line(std::string_view text, RemarkList& remarks);

void check_archive(std::string_view text, RemarkList& remarks) {
    const YamlValue archive = parse_users_yaml(text);
    if (archive.kind() != YamlKind::sequence)
        fail(ErrorKind::usage, "a #cloud-config-archive is a YAML list, and this one is not");
    for (const YamlValue& item : archive.items()) {
        const std::optional<YamlValue> content = item.get("content");
        const std::optional<YamlValue> type = item.get("type");
        if (item.kind() == YamlKind::mapping && !content)
            fail(ErrorKind::usage, fmt::format("line {}: a part of the archive has no 'content'", item.line()));
        if (content && type && type->text() == "text/cloud-config")
            with_context(fmt::format("the part at line {}", item.line()),
                         [&] { check_cloud_config(content->text(), remarks); });
    }
}

void check_by_first_line(std::string_view text, RemarkList& remarks) {
    text = without_blanks_before(text);
    const std::vector<std::string_view> lines = lines_of(text);
    const std::string_view first = lines.empty() ? std::string_view() : trimmed(lines[0]);
    const std::string_view mark = mark_of(first);
    if (mark == "## template: jinja") {
        // What follows is YAML only after the guest has filled it in.
        if (lines.size() < 2 || !trimmed(lines[1]).starts_with("#"))
            fail(ErrorKind::usage, "the line after '## template: jinja' must say what it is (#cloud-config)");
    } else if (mark == "#cloud-config") {
        check_cloud_config(text, remarks);
    } else if (mark == "#cloud-config-archive") {
        check_archive(text, remarks);
    } else if (mark.starts_with("#include")) {
        check_include(text, remarks);
    } else if (mark == "#upstart-job") {
        remarks.push_back("newer versions of cloud-init know no #upstart-job, and pass it over");
    } else if (mark.empty()) {
        if (first.starts_with("\xef\xbb\xbf"))
            fail(ErrorKind::usage,
                 "it begins with a byte order mark (BOM), behind which cloud-init does not see what it "
                 "is; save it as UTF-8 without one");
        fail(ErrorKind::usage,
             fmt::format("it begins with {}, which cloud-init would ignore; begin with #cloud-config, #! "
                         "(a script), #include, #cloud-boothook, #part-handler, #cloud-config-archive, "
                         "'## template: jinja' or a MIME header",
                         quote_untrusted(first, 40)));
    }
}

struct MimePart {
    std::string type; // lower case, without parameters
    std::string boundary;
    std::string encoding; // lower case
    std::string_view body;
};

// Value of a parameter in `Content-Type: multipart/mixed; boundary="=="`.
std::string parameter(std::string_view header, std::string_view name) {
    const std::string lower = to_lower(header);
    const std::size_t at = lower.find(std::string(name) + "=");
    if (at == std::string::npos)
        return {};
    std::string_view value = header.substr(at + name.size() + 1);
    if (value.starts_with('"')) {
        value.remove_prefix(1);
        return std::string(value.substr(0, value.find('"')));
    }
    return std::string(trimmed(value.substr(0, value.find(';'))));
}

MimePart parse_part(std::string_view text) {
    MimePart part;
    std::string name;
    std::string value;
    std::vector<std::pair<std::string, std::string>> headers;
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t newline = std::min(text.find('\n', at), text.size());
        std::string_view line = text.substr(at, newline - at);
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        at = std::min(newline + 1, text.size());
        if (line.empty())
            break;
        if (line.front() == ' ' || line.front() == '\t') {
            if (!headers.empty())
                headers.back().second += line;
            continue;
        }
        const std::size_t colon = line.find(':');
        if (line.starts_with("From ") && headers.empty())
            continue;
        if (colon == std::string_view::npos)
            fail(ErrorKind::usage, fmt::format("a MIME header is broken: {}", quote_untrusted(line, 60)));
        headers.emplace_back(to_lower(trimmed(line.substr(0, colon))), std::string(trimmed(line.substr(colon + 1))));
    }
    part.body = text.substr(at);
    part.type = "text/plain";
    for (const auto& [header, content] : headers) {
        if (header == "content-type") {
            part.type = to_lower(trimmed(std::string_view(content).substr(0, content.find(';'))));
            part.boundary = parameter(content, "boundary");
        }
        if (header == "content-transfer-encoding")
            part.encoding = to_lower(content);
    }
    return part;
}

std::string decode_transfer_encoding(std::string_view text) {
    const auto is_part = [](char c) { return c != '\n' && c != '\r' && c != ' '; };
    std::string joined;
    std::copy_if(text.begin(), text.end(), std::back_inserter(joined), is_part);
    if (std::optional<std::string> decoded = decode_base64(joined))
        return std::move(*decoded);
    fail(ErrorKind::usage, "a MIME part is not the base64 that it says it is");
}

std::vector<std::string_view> split_multipart(std::string_view body, const std::string& boundary) {
    std::vector<std::string_view> parts;
    const std::string delimiter = "--" + boundary;
    std::optional<std::size_t> begin;
    bool closed = false;
    for (std::size_t at = 0; at < body.size() && !closed;) {
        const std::size_t newline = std::min(body.find('\n', at), body.size());
        const std::string_view line = trimmed(body.substr(at, newline - at));
        const std::size_t next = std::min(newline + 1, body.size());
        if (line == delimiter || line == delimiter + "--") {
            if (begin)
                parts.push_back(body.substr(*begin, at - *begin));
            begin = next;
            closed = line != delimiter;
        }
        at = next;
    }
    if (!closed)
        fail(ErrorKind::usage, fmt::format("a MIME multipart does not end with '--{}--'", boundary));
    if (parts.size() > kMimePartLimit)
        fail(ErrorKind::usage, "a MIME message of more than 1000 parts");
    return parts;
}

void check_mime(std::string_view message, RemarkList& remarks) {
    struct Pending {
        std::string_view text;
        unsigned depth;
    };
    std::vector<Pending> pending = {{message, 0}};
    unsigned number = 0;
    while (!pending.empty()) {
        const Pending current = pending.back();
        pending.pop_back();
        const MimePart part = parse_part(current.text);
        if (part.type.starts_with("multipart/")) {
            if (part.boundary.empty())
                fail(ErrorKind::usage, "a MIME multipart has no boundary");
            if (current.depth >= kMimeNestingLimit)
                fail(ErrorKind::usage, "MIME multiparts are nested too deep");
            for (const std::string_view inner : split_multipart(part.body, part.boundary))
                pending.push_back({inner, current.depth + 1});
            continue;
        }
        const std::string decoded =
            part.encoding == "base64" ? decode_transfer_encoding(part.body) : std::string(part.body);
        with_context(fmt::format("MIME part {} ({})", ++number, part.type), [&] {
            if (part.type == "text/cloud-config")
                check_cloud_config(decoded, remarks);
            else if (part.type == "text/cloud-config-archive")
                check_archive(decoded, remarks);
            else if (part.type == "text/x-include-url" || part.type == "text/x-include-once-url")
                check_include(decoded, remarks);
            else if (part.type == "text/plain" && trimmed(decoded).starts_with("#"))
                check_by_first_line(decoded, remarks);
        });
    }
}

void check_any(std::string_view data, RemarkList& remarks) {
    if (data.size() > kUserDataLimit)
        fail(ErrorKind::usage, "it is larger than 16 MiB");
    std::string unpacked;
    if (data.starts_with("\x1f\x8b")) {
        unpacked = gunzip(data);
        data = unpacked;
    }
    if (trimmed(data).empty())
        return;
    data = without_blanks_before(data);
    // A message whatever its first header is; cloud-init looks for this one in the first 4096 bytes.
    const std::string head = to_lower(data.substr(0, 4096));
    const std::string first_line = head.substr(0, head.find('\n'));
    const std::size_t colon = first_line.find(':');
    const bool begins_with_header =
        head.starts_with("from ") || (colon != std::string::npos && colon != 0 &&
                                      first_line.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == colon);
    if (begins_with_header && head.find("mime-version:") != std::string::npos)
        return check_mime(data, remarks);
    if (begins_with_header && head.find("content-type: multipart/") != std::string::npos)
        fail(ErrorKind::usage,
             "it is a MIME message without the header 'MIME-Version: 1.0', by which cloud-init knows one");
    check_by_first_line(data, remarks);
}

} // namespace

void check_user_data(std::string_view data) {
    RemarkList remarks;
    with_context("the user data", [&] { check_any(data, remarks); });
}

std::vector<std::string> user_data_remarks(std::string_view data) {
    RemarkList remarks;
    check_any(data, remarks);
    return remarks;
}

std::vector<std::string> meta_data_remarks(std::string_view data) {
    RemarkList remarks;
    const YamlValue root = parse_users_yaml(data);
    for (const std::string_view key : {"instance-id", "local-hostname", "public-keys"})
        if (const auto mistaken = root.get(replaced(key, "-", "_")); mistaken && !root.get(key))
            remarks.push_back(fmt::format("the meta-data, line {}: cloud-init reads '{}', and passes over '{}'",
                                          mistaken->line(), key, replaced(key, "-", "_")));
    return remarks;
}

std::vector<std::string> network_config_remarks(std::string_view data) {
    return network_config_remarks(parse_users_yaml(data));
}

std::string plain_user_data(std::string_view data) {
    if (data.starts_with("\x1f\x8b"))
        return std::string(data);
    std::string text(without_blanks_before(data));
    const std::string_view mark = mark_of(text.substr(0, text.find('\n')));
    return text.replace(0, mark.size(), mark);
}

void check_vendor_data(std::string_view data) {
    RemarkList remarks;
    with_context("the vendor data", [&] { check_any(data, remarks); });
}

void check_meta_data(std::string_view data) {
    with_context("the meta-data", [&] {
        const YamlKind kind = parse_users_yaml(data).kind();
        if (kind != YamlKind::mapping && kind != YamlKind::null)
            fail(ErrorKind::usage, "it must be a YAML mapping (instance-id: …, local-hostname: …)");
    });
}

void check_network_config(std::string_view data) {
    with_context("the network configuration", [&] {
        const YamlValue root = parse_users_yaml(data);
        const std::optional<YamlValue> inner = root.get("network");
        const YamlValue config = inner ? *inner : root;
        if (config.kind() != YamlKind::mapping)
            fail(ErrorKind::usage, "it must be a YAML mapping");
        if (const auto disabled = config.get("config"); disabled && disabled->text() == "disabled")
            return;
        const std::optional<YamlValue> version = config.get("version");
        if (!version || (version->text() != "1" && version->text() != "2"))
            fail(ErrorKind::usage, "it must say 'version: 1' or 'version: 2'");
        if (version->text() == "1" && (!config.get("config") || config.get("config")->kind() != YamlKind::sequence))
            fail(ErrorKind::usage, "version 1 has its interfaces in a list named 'config'");
    });
}

std::string complete_meta_data(std::string_view data, const MetaDataAdditions& additions) {
    const YamlValue root = parse_users_yaml(data);
    const auto lacks = [&](std::string_view key) { return !root.get(key); };
    std::vector<YamlMember> added;
    if (lacks("instance-id"))
        added.push_back({"instance-id", additions.instance_id, {}});
    if (!additions.hostname.empty() && lacks("local-hostname") && lacks("hostname"))
        added.push_back({"local-hostname", additions.hostname, {}});
    if (!additions.public_keys.empty()) {
        if (!lacks("public-keys"))
            fail(ErrorKind::usage, "the meta-data has public-keys already", HintKind::ssh_key);
        added.push_back({"public-keys", {}, {}});
        for (const std::string_view line : lines_of(additions.public_keys))
            if (!trimmed(line).empty())
                added.back().items.emplace_back(trimmed(line));
    }
    // Written from what was read: behind a "...", an indented mapping or a comment, lines cannot simply be added.
    return added.empty() ? std::string(data) : yaml_text(root, added);
}

} // namespace vm2oci
