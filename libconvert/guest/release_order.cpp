#include "libconvert/guest/release_order.hpp"

#include <cctype>
#include <string>

namespace vm2oci {

bool is_newer_release(std::string_view a, std::string_view b) {
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < a.size() && j < b.size()) {
        const bool digit_a = std::isdigit(static_cast<unsigned char>(a[i])) != 0;
        const bool digit_b = std::isdigit(static_cast<unsigned char>(b[j])) != 0;
        // As rpm has it: 957.1.3.el7 came after 957.el7.
        if (digit_a != digit_b)
            return digit_a;
        if (!digit_a) {
            if (a[i] != b[j])
                return a[i] > b[j];
            ++i;
            ++j;
            continue;
        }
        const auto number = [](std::string_view text, std::size_t& at) {
            std::string run;
            for (; at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0; ++at)
                if (!(run.empty() && text[at] == '0'))
                    run += text[at];
            return run;
        };
        const std::string x = number(a, i);
        const std::string y = number(b, j);
        if (x != y)
            return x.size() != y.size() ? x.size() > y.size() : x > y;
    }
    return a.size() - i > b.size() - j;
}

} // namespace vm2oci
