#include "libconvert/inspect/spdx.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

namespace vm2oci {
namespace {

constexpr std::size_t kMaxTokens = 200; // longer expressions are lists of files, not licences

// On SPDX' list of licences, and met in distributions.
constexpr std::string_view kKnown[] = {"0BSD",
                                       "AFL-2.1",
                                       "AGPL-3.0-only",
                                       "AGPL-3.0-or-later",
                                       "Apache-2.0",
                                       "Artistic-1.0-Perl",
                                       "Artistic-2.0",
                                       "BSD-1-Clause",
                                       "BSD-2-Clause",
                                       "BSD-3-Clause",
                                       "BSD-4-Clause",
                                       "BSD-4-Clause-UC",
                                       "BSL-1.0",
                                       "Beerware",
                                       "bzip2-1.0.6",
                                       "CC-BY-3.0",
                                       "CC-BY-4.0",
                                       "CC-BY-SA-3.0",
                                       "CC-BY-SA-4.0",
                                       "CC0-1.0",
                                       "CDDL-1.0",
                                       "curl",
                                       "EPL-1.0",
                                       "EPL-2.0",
                                       "FSFAP",
                                       "FSFUL",
                                       "FSFULLR",
                                       "FTL",
                                       "GFDL-1.1-or-later",
                                       "GFDL-1.2-or-later",
                                       "GFDL-1.3-only",
                                       "GFDL-1.3-or-later",
                                       "GPL-1.0-only",
                                       "GPL-1.0-or-later",
                                       "GPL-2.0-only",
                                       "GPL-2.0-or-later",
                                       "GPL-3.0-only",
                                       "GPL-3.0-or-later",
                                       "HPND",
                                       "IJG",
                                       "ISC",
                                       "LGPL-2.0-only",
                                       "LGPL-2.0-or-later",
                                       "LGPL-2.1-only",
                                       "LGPL-2.1-or-later",
                                       "LGPL-3.0-only",
                                       "LGPL-3.0-or-later",
                                       "Libpng",
                                       "libtiff",
                                       "MIT",
                                       "MIT-0",
                                       "MPL-1.1",
                                       "MPL-2.0",
                                       "NCSA",
                                       "OFL-1.1",
                                       "OLDAP-2.8",
                                       "OpenSSL",
                                       "PostgreSQL",
                                       "PSF-2.0",
                                       "Python-2.0",
                                       "Python-2.0.1",
                                       "Ruby",
                                       "Sleepycat",
                                       "TCL",
                                       "Unicode-DFS-2016",
                                       "Unlicense",
                                       "Vim",
                                       "W3C",
                                       "WTFPL",
                                       "X11",
                                       "Zlib",
                                       "ZPL-2.1",
                                       "zlib-acknowledgement"};

struct Synonym {
    std::string_view name;
    std::string_view spdx;
};
// Debian's short names where they are others (copyright-format 1.0), and what SPDX called them before.
constexpr Synonym kSynonyms[] = {{"AGPL-3", "AGPL-3.0-only"},
                                 {"AGPL-3+", "AGPL-3.0-or-later"},
                                 {"Artistic", "Artistic-1.0-Perl"},
                                 {"Artistic-1", "Artistic-1.0-Perl"},
                                 {"BSD-2-clause", "BSD-2-Clause"},
                                 {"BSD-3-clause", "BSD-3-Clause"},
                                 {"BSD-4-clause", "BSD-4-Clause"},
                                 {"Expat", "MIT"},
                                 {"GFDL-1.3+", "GFDL-1.3-or-later"},
                                 {"GFDL-1.2+", "GFDL-1.2-or-later"},
                                 {"GPL-1", "GPL-1.0-only"},
                                 {"GPL-1+", "GPL-1.0-or-later"},
                                 {"GPL-2", "GPL-2.0-only"},
                                 {"GPL-2+", "GPL-2.0-or-later"},
                                 {"GPL-2.0", "GPL-2.0-only"},
                                 {"GPL-2.0+", "GPL-2.0-or-later"},
                                 {"GPL-3", "GPL-3.0-only"},
                                 {"GPL-3+", "GPL-3.0-or-later"},
                                 {"GPL-3.0", "GPL-3.0-only"},
                                 {"GPL-3.0+", "GPL-3.0-or-later"},
                                 {"LGPL-2", "LGPL-2.0-only"},
                                 {"LGPL-2+", "LGPL-2.0-or-later"},
                                 {"LGPL-2.0+", "LGPL-2.0-or-later"},
                                 {"LGPL-2.1", "LGPL-2.1-only"},
                                 {"LGPL-2.1+", "LGPL-2.1-or-later"},
                                 {"LGPL-3", "LGPL-3.0-only"},
                                 {"LGPL-3+", "LGPL-3.0-or-later"},
                                 {"LGPL-3.0+", "LGPL-3.0-or-later"},
                                 {"PSF-2", "PSF-2.0"},
                                 {"ZLIB", "Zlib"},
                                 {"zlib", "Zlib"}};

// Empty: not known.
std::string_view find_license(std::string_view name) {
    for (const std::string_view known : kKnown)
        if (known == name)
            return known;
    for (const Synonym& synonym : kSynonyms)
        if (synonym.name == name)
            return synonym.spdx;
    return {};
}

bool is_word(std::string_view token, std::string_view word) {
    return std::equal(token.begin(), token.end(), word.begin(), word.end(),
                      [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
}

std::vector<std::string_view> tokenise(std::string_view text) {
    std::vector<std::string_view> tokens;
    for (std::size_t at = 0; at < text.size();) {
        if (text[at] == ' ' || text[at] == '\t' || text[at] == ',') {
            ++at; // "A, and B": the comma only groups, and what it groups is checked below
            continue;
        }
        std::size_t end = at + 1;
        if (text[at] != '(' && text[at] != ')')
            end = std::min(text.find_first_of(" \t,()", at), text.size());
        tokens.push_back(text.substr(at, end - at));
        at = end;
    }
    return tokens;
}

} // namespace

std::string spdx_license(std::string_view text) {
    // Commas bind looser than words in Debian's expressions; what has both cannot be carried over word by word.
    if (text.find(',') != std::string_view::npos)
        return {};
    const std::vector<std::string_view> tokens = tokenise(text);
    if (tokens.empty() || tokens.size() > kMaxTokens)
        return {};
    std::string expression;
    std::size_t depth = 0;
    bool wants_license = true;
    for (const std::string_view token : tokens) {
        std::string piece;
        if (token == "(") {
            if (!wants_license)
                return {};
            ++depth;
            expression += "(";
            continue;
        }
        if (token == ")") {
            if (wants_license || depth == 0)
                return {};
            --depth;
            expression += ")";
            continue;
        }
        if (wants_license) {
            piece = find_license(token);
            if (piece.empty())
                return {};
        } else if (is_word(token, "and")) {
            piece = " AND ";
        } else if (is_word(token, "or")) {
            piece = " OR ";
        } else {
            return {};
        }
        expression += piece;
        wants_license = !wants_license;
    }
    return wants_license || depth != 0 ? std::string() : expression;
}

} // namespace vm2oci
