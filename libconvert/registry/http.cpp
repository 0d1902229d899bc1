#include "libconvert/registry/http.hpp"

#include <algorithm>
#include <cstring>

namespace vm2oci::registry {
namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same_name(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, {}, lower, lower);
}

} // namespace

std::string_view to_string(HttpMethod method) {
    switch (method) {
    case HttpMethod::get:
        return "GET";
    case HttpMethod::head:
        return "HEAD";
    case HttpMethod::post:
        return "POST";
    case HttpMethod::put:
        return "PUT";
    case HttpMethod::patch:
        return "PATCH";
    case HttpMethod::remove:
        return "DELETE";
    }
    return "GET";
}

void HttpHeaders::add(std::string name, std::string value) {
    entries_.emplace_back(std::move(name), std::move(value));
}

std::optional<std::string> HttpHeaders::find(std::string_view name) const {
    for (const auto& [key, value] : entries_)
        if (same_name(key, name))
            return value;
    return std::nullopt;
}

std::vector<std::string> HttpHeaders::find_all(std::string_view name) const {
    std::vector<std::string> values;
    for (const auto& [key, value] : entries_)
        if (same_name(key, name))
            values.push_back(value);
    return values;
}

void BytesBody::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    std::memcpy(buffer.data(), bytes_.data() + offset, buffer.size());
}

void DeviceBody::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    device_.read_at(offset_ + offset, buffer);
}

} // namespace vm2oci::registry
