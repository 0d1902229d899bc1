#include "tools/vm2oci/topics.hpp"

#include "formats/base/version.hpp"
#include "tools/vm2oci/topic_texts.hpp"

#include <algorithm>

namespace vm2oci::cli {
namespace {

constexpr std::size_t kPageWidth = 80;

enum class BlockKind { title, heading, paragraph, item, code };

struct Block {
    BlockKind kind;
    std::string text; // code: with its lines, without the indentation
};

using Blocks = std::vector<Block>;

bool goes_on(const Blocks& blocks, bool after_empty_line, BlockKind kind) {
    return !after_empty_line && !blocks.empty() && blocks.back().kind == kind;
}

Blocks blocks_of(std::string_view text) {
    Blocks blocks;
    bool after_empty_line = true;
    const auto add_line = [&](BlockKind kind, std::string_view line, const char* between) {
        if (goes_on(blocks, after_empty_line, kind))
            blocks.back().text += between + std::string(line);
        else
            blocks.push_back({kind, std::string(line)});
    };
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty()) {
            after_empty_line = true;
            continue;
        }
        if (line.starts_with("# "))
            blocks.push_back({BlockKind::title, std::string(line.substr(2))});
        else if (line.starts_with("## "))
            blocks.push_back({BlockKind::heading, std::string(line.substr(3))});
        else if (line.starts_with("    "))
            add_line(BlockKind::code, line.substr(4), "\n");
        else if (line.starts_with("- "))
            blocks.push_back({BlockKind::item, std::string(line.substr(2))});
        else if (line.starts_with("  ") && goes_on(blocks, after_empty_line, BlockKind::item))
            blocks.back().text += " " + std::string(line.substr(2));
        else
            add_line(BlockKind::paragraph, line, " ");
        after_empty_line = false;
    }
    return blocks;
}

// "Errors: what refusals mean": what stands behind the colon.
std::string summary_of(const Blocks& blocks) {
    const std::string& title = blocks.front().text;
    const std::size_t colon = title.find(": ");
    return colon == std::string::npos ? title : title.substr(colon + 2);
}

// Columns, not bytes: what follows in a UTF-8 sequence has none.
std::size_t columns(std::string_view text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string folded(std::string_view text, const std::string& first_indent, const std::string& indent) {
    std::string out = first_indent;
    std::size_t column = columns(first_indent);
    bool line_is_empty = true;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        const std::string_view word = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (!line_is_empty && column + 1 + columns(word) > kPageWidth) {
            out += "\n" + indent;
            column = columns(indent);
            line_is_empty = true;
        }
        out += (line_is_empty ? "" : " ") + std::string(word);
        column += columns(word) + (line_is_empty ? 0 : 1);
        line_is_empty = false;
    }
    return out + "\n";
}

std::string indented(std::string_view code) {
    std::string out = "    ";
    for (const char c : code) {
        out += c;
        if (c == '\n')
            out += "    ";
    }
    return out + "\n";
}

std::string as_page(const Blocks& blocks) {
    std::string out;
    BlockKind before = BlockKind::title;
    for (const Block& block : blocks) {
        if (!out.empty() && !(block.kind == BlockKind::item && before == BlockKind::item))
            out += "\n";
        before = block.kind;
        switch (block.kind) {
        case BlockKind::title:
            out += folded(block.text, "", "");
            break;
        case BlockKind::heading:
            out += block.text + "\n" + std::string(std::min(columns(block.text), kPageWidth), '-') + "\n";
            break;
        case BlockKind::paragraph:
            out += folded(block.text, "", "");
            break;
        case BlockKind::item:
            out += folded(block.text, "- ", "  ");
            break;
        case BlockKind::code:
            out += indented(block.text);
            break;
        }
    }
    return out;
}

// Text for roff: nothing in it is a request, hyphens are those that shells read, code is bold.
std::string roff(std::string_view text) {
    std::string out;
    bool bold = false;
    bool line_begins = true;
    for (const char c : text) {
        if (line_begins && (c == '.' || c == '\''))
            out += "\\&";
        line_begins = c == '\n';
        if (c == '`') {
            out += bold ? "\\fR" : "\\fB";
            bold = !bold;
        } else if (c == '\\') {
            out += "\\e";
        } else if (c == '-') {
            out += "\\-";
        } else {
            out += c;
        }
    }
    return out;
}

std::string upper(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
    return out;
}

std::string as_manual(std::string_view name, const Blocks& blocks) {
    std::string out = ".\\\" Written by 'vm2oci manual' from tools/help/" + std::string(name) + ".md\n";
    out += ".TH VM2OCI\\-" + roff(upper(name)) + " 7 \"\" \"vm2oci " + std::string(version()) + "\"\n";
    out += ".SH NAME\nvm2oci\\-" + roff(name) + " \\- " + roff(summary_of(blocks)) + "\n.SH DESCRIPTION\n";
    BlockKind before = BlockKind::title;
    for (const Block& block : blocks) {
        const bool after_heading = before == BlockKind::heading || before == BlockKind::title;
        before = block.kind;
        switch (block.kind) {
        case BlockKind::title:
            break;
        case BlockKind::heading:
            out += ".SS " + roff(block.text) + "\n";
            break;
        case BlockKind::paragraph:
            out += (after_heading ? "" : ".PP\n") + roff(block.text) + "\n";
            break;
        case BlockKind::item:
            out += ".IP \\(bu 2\n" + roff(block.text) + "\n";
            break;
        case BlockKind::code:
            out += std::string(after_heading ? "" : ".PP\n") + ".RS 4\n.nf\n" + roff(block.text) + "\n.fi\n.RE\n";
            break;
        }
    }
    return out + ".SH SEE ALSO\n.BR vm2oci (1)\n";
}

std::optional<Blocks> find_topic(std::string_view name) {
    for (const TopicText& topic : topic_texts())
        if (topic.name == name)
            return blocks_of(topic.text);
    return std::nullopt;
}

// "a, b": headings of errors name every code that they are for.
bool names(std::string_view heading, std::string_view code) {
    while (!heading.empty()) {
        const std::size_t end = std::min(heading.find(", "), heading.size());
        if (heading.substr(0, end) == code)
            return true;
        heading.remove_prefix(std::min(end + 2, heading.size()));
    }
    return false;
}

std::optional<Blocks> find_code(std::string_view code) {
    const Blocks errors = find_topic("errors").value();
    const auto section = std::find_if(errors.begin(), errors.end(), [&](const Block& block) {
        return block.kind == BlockKind::heading && names(block.text, code);
    });
    if (section == errors.end())
        return std::nullopt;
    const auto end =
        std::find_if(section + 1, errors.end(), [](const Block& block) { return block.kind == BlockKind::heading; });
    return Blocks(section, end);
}

} // namespace

std::vector<Topic> topics() {
    std::vector<Topic> all;
    for (const TopicText& topic : topic_texts())
        all.push_back({topic.name, summary_of(blocks_of(topic.text))});
    return all;
}

std::optional<std::string> topic_page(std::string_view name) {
    if (const std::optional<Blocks> topic = find_topic(name))
        return as_page(*topic);
    if (const std::optional<Blocks> code = find_code(name))
        return as_page(*code);
    return std::nullopt;
}

std::optional<std::string> topic_manual(std::string_view name) {
    if (const std::optional<Blocks> topic = find_topic(name))
        return as_manual(name, *topic);
    return std::nullopt;
}

} // namespace vm2oci::cli
