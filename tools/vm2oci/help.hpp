// The layout of help pages: usage, one sentence, grouped options, the options of every command, examples last.
#pragma once

#include <CLI/App.hpp>

#include <string>

namespace vm2oci::cli {

// Groups, in the order in which help shows them.
namespace group {
inline constexpr const char* source = "Reading the source";
inline constexpr const char* output = "Output";
inline constexpr const char* image = "Image";
inline constexpr const char* edits = "Changing the guest";
inline constexpr const char* boot = "Booting";
inline constexpr const char* machine = "The machine";
inline constexpr const char* registry = "Registry";
inline constexpr const char* global = "Options of every command";
} // namespace group

std::string help_page(const CLI::App& command);

} // namespace vm2oci::cli
