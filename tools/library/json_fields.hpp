// One list of members for both directions: fields(archive, value) names them, a FieldReader fills the value from JSON,
// a FieldWriter makes JSON of it.
#pragma once

#include "formats/base/error.hpp"

#include <nlohmann/json.hpp>

#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace vm2oci {

using Json = nlohmann::ordered_json;

class FieldReader {
  public:
    // `place` is where `json` stands in the document, for messages.
    FieldReader(const Json& json, std::string place) : json_(json), place_(std::move(place)) {
        if (!json.is_object())
            refuse("no object");
    }

    // What is not there stays as it is in a new value; Error{corrupt} for what cannot be that value.
    template <class Value>
    void field(const char* name, Value& value) {
        read_member(name, value);
    }
    // A member that is not written where there is nothing to say.
    template <class Value>
    void maybe(const char* name, Value& value) {
        read_member(name, value);
    }
    // Members that stand in the same object only if `there`, which is false while it is read.
    bool wants(bool /*there*/) const { return true; }

  private:
    template <class Value>
    void read_member(const char* name, Value& value) {
        const auto member = json_.find(name);
        if (member != json_.end())
            FieldReader(*member, place_.empty() ? name : place_ + "." + name, Inner{}).take(value);
    }

    struct Inner {};
    FieldReader(const Json& json, std::string place, Inner /*inner*/) : json_(json), place_(std::move(place)) {}

    [[noreturn]] void refuse(const char* what) const {
        fail(ErrorKind::corrupt, (place_.empty() ? "the document" : place_) + " is " + what);
    }

    void take(std::string& value) const {
        if (!json_.is_string())
            refuse("no text");
        value = json_.get<std::string>();
    }
    void take(bool& value) const {
        if (!json_.is_boolean())
            refuse("neither true nor false");
        value = json_.get<bool>();
    }
    void take(std::uint64_t& value) const {
        if (!json_.is_number_unsigned())
            refuse("no number from 0 on");
        value = json_.get<std::uint64_t>();
    }
    void take(std::int64_t& value) const {
        if (!json_.is_number_integer() ||
            (json_.is_number_unsigned() &&
             json_.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())))
            refuse("no number of 64 bits");
        value = json_.get<std::int64_t>();
    }
    template <class Item>
    void take(std::optional<Item>& value) const {
        if (json_.is_null())
            value.reset();
        else
            take(value.emplace());
    }
    template <class Item>
    void take(std::vector<Item>& value) const {
        if (!json_.is_array())
            refuse("no list");
        value.clear();
        for (std::size_t i = 0; i < json_.size(); ++i)
            FieldReader(json_[i], place_ + "[" + std::to_string(i) + "]", Inner{}).take(value.emplace_back());
    }
    void take(std::map<std::string, std::string>& value) const {
        if (!json_.is_object())
            refuse("no object");
        value.clear();
        for (const auto& [key, text] : json_.items())
            FieldReader(text, place_ + "." + key, Inner{}).take(value[key]);
    }
    template <class Object>
    void take(Object& value) const {
        FieldReader inner(json_, place_);
        fields(inner, value);
    }

    const Json& json_;
    std::string place_;
};

class FieldWriter {
  public:
    template <class Value>
    void field(const char* name, Value& value) {
        json_[name] = to_json(value);
    }
    template <class Value>
    void maybe(const char* name, Value& value) {
        if (is_there(value))
            json_[name] = to_json(value);
    }
    bool wants(bool there) const { return there; }

    Json take() { return std::move(json_); }

  private:
    template <class Item>
    static bool is_there(const std::optional<Item>& value) {
        return value.has_value();
    }
    template <class Item>
    static bool is_there(const std::vector<Item>& value) {
        return !value.empty();
    }

    template <class Item>
    static Json to_json(std::optional<Item>& value) {
        return value ? to_json(*value) : Json(nullptr);
    }
    template <class Item>
    static Json to_json(std::vector<Item>& value) {
        Json list = Json::array();
        for (auto&& item : value)
            list.push_back(to_json(item));
        return list;
    }
    static Json to_json(std::map<std::string, std::string>& value) {
        Json object = Json::object();
        for (const auto& [key, text] : value)
            object[key] = text;
        return object;
    }
    template <class Value>
    static Json to_json(Value& value) {
        if constexpr (std::integral<Value> || std::same_as<Value, std::string>) {
            return value;
        } else {
            FieldWriter inner;
            fields(inner, value);
            return inner.take();
        }
    }

    Json json_ = Json::object();
};

} // namespace vm2oci
