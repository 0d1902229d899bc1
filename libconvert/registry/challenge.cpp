#include "libconvert/registry/challenge.hpp"

#include "formats/base/ascii.hpp"

#include <algorithm>

namespace vm2oci::registry {
namespace {

constexpr std::size_t kMaxChallenges = 16; // a server offers one or two

bool is_token_character(char c) {
    static constexpr std::string_view kOther = "!#$%&'*+-.^_`|~";
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kOther.find(c) != std::string_view::npos;
}

class Cursor {
  public:
    explicit Cursor(std::string_view text) : rest_(text) {}

    bool at_end() const { return rest_.empty(); }
    bool next_is(char c) const { return !rest_.empty() && rest_.front() == c; }
    void skip(std::string_view characters) {
        const std::size_t stop = rest_.find_first_not_of(characters);
        rest_.remove_prefix(stop == std::string_view::npos ? rest_.size() : stop);
    }
    void advance() { rest_.remove_prefix(1); }

    std::string_view token() {
        const auto stop = std::ranges::find_if_not(rest_, is_token_character);
        const auto length = static_cast<std::size_t>(stop - rest_.begin());
        const std::string_view result = rest_.substr(0, length);
        rest_.remove_prefix(length);
        return result;
    }

    // A quoted string without its quotes and backslashes; the cursor stands on the first quote.
    std::string quoted() {
        std::string result;
        advance();
        while (!at_end() && !next_is('"')) {
            if (next_is('\\') && rest_.size() > 1)
                advance();
            result += rest_.front();
            advance();
        }
        if (!at_end())
            advance();
        return result;
    }

    std::string_view rest() const { return rest_; }
    void rewind(std::string_view to) { rest_ = to; }

  private:
    std::string_view rest_;
};

void assign(Challenge& challenge, const std::string& name, std::string value) {
    if (name == "realm")
        challenge.realm = std::move(value);
    else if (name == "service")
        challenge.service = std::move(value);
    else if (name == "scope")
        challenge.scope = std::move(value);
    else if (name == "error")
        challenge.error = std::move(value);
}

// Reads `name = value` parameters until something else begins, which may be the next challenge.
void read_parameters(Cursor& cursor, Challenge& challenge) {
    while (true) {
        cursor.skip(" \t,");
        const std::string_view before = cursor.rest();
        const std::string name = to_lower_ascii(cursor.token());
        cursor.skip(" \t");
        if (name.empty() || !cursor.next_is('=')) {
            cursor.rewind(before);
            return;
        }
        cursor.advance();
        cursor.skip(" \t");
        assign(challenge, name, cursor.next_is('"') ? cursor.quoted() : std::string(cursor.token()));
    }
}

} // namespace

std::vector<Challenge> parse_challenges(std::string_view header) {
    std::vector<Challenge> challenges;
    Cursor cursor(header);
    while (challenges.size() < kMaxChallenges) {
        cursor.skip(" \t,");
        const std::string scheme = to_lower_ascii(cursor.token());
        if (scheme.empty())
            break;
        Challenge challenge;
        challenge.scheme = scheme == "basic"    ? AuthScheme::basic
                           : scheme == "bearer" ? AuthScheme::bearer
                                                : AuthScheme::other;
        read_parameters(cursor, challenge);
        challenges.push_back(std::move(challenge));
    }
    return challenges;
}

} // namespace vm2oci::registry
