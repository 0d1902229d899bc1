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

// Every option with what it does.
std::string help_page(const CLI::App& command);
// What fits a screen: the options that most people need, and the names of the others. The whole page, where that fits.
std::string short_help_page(const CLI::App& command);

} // namespace vm2oci::cli
