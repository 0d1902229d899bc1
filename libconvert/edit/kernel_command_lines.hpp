// The kernel's command lines, wherever a boot loader keeps them.
#pragma once

#include "libconvert/edit/plan_builder.hpp"

#include <functional>
#include <string>
#include <vector>

namespace vm2oci {

// Gets the words of one command line and returns those that it shall have.
using CommandLineChange = std::function<std::vector<std::string>(std::vector<std::string> words)>;

// Everywhere that a command line is written down: grub.cfg, /etc/default/grub (and its .d), grubenv (kernelopts),
// boot loader entries, /etc/kernel/cmdline, extlinux and syslinux, GRUB legacy. Lines whose words stay are not touched.
void change_kernel_command_lines(PlanBuilder& plan, const CommandLineChange& change, const std::string& reason);

// The words of the command lines that boot loaders would use now: one list for each entry.
std::vector<std::vector<std::string>> kernel_command_lines(const PlanBuilder& plan);

} // namespace vm2oci
