// The kernel's command lines, wherever a boot loader keeps them.
#pragma once

#include "libconvert/edit/plan_builder.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// Gets the words of one command line and returns those that it shall have.
using CommandLineChange = std::function<std::vector<std::string>(std::vector<std::string> words)>;

// Everywhere that a command line is written down: grub.cfg (and the kernelopts that it sets), /etc/default/grub and its
// .d, grubenv (kernelopts), boot loader entries, /etc/kernel/cmdline, extlinux and syslinux with update-extlinux.conf,
// GRUB legacy. Lines whose words stay are not touched. What holds a command line and is not changed is found.
void change_kernel_command_lines(PlanBuilder& plan, const CommandLineChange& change, const std::string& reason);

// The words of the command lines that boot loaders would use now: one list for each entry.
std::vector<std::vector<std::string>> kernel_command_lines(const PlanBuilder& plan);

// Words between blanks, as the kernel reads them: blanks in double quotes divide none.
std::vector<std::string> kernel_words(std::string_view text);

// --- for kernel_command_lines.cpp and kernel_defaults.cpp alone ---------------------------------------------------
// What became of each word, and what came to them.
struct WordChanges {
    std::vector<std::optional<std::string>> words; // nullopt: gone
    std::vector<std::string> added;
};
WordChanges compare_words(const std::vector<std::string>& before, const std::vector<std::string>& after);

// Files that tools make the boot loaders' files of: /etc/default/grub and the like.
void change_kernel_defaults(PlanBuilder& plan, const CommandLineChange& change, const std::string& reason);
// The words of the values of `set NAME=…`.
std::vector<std::vector<std::string>> words_of_settings(std::string_view text,
                                                        const std::vector<std::string_view>& names);
// The text with the values of `set NAME=…` changed, which each are a command line; nullopt: nothing changes.
std::optional<std::string> with_changed_values(std::string_view text, const std::vector<std::string_view>& names,
                                               const CommandLineChange& change);

} // namespace vm2oci
